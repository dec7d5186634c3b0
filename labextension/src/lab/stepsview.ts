/** The steps of a build: which came from the cache, and why the others did not. */
import type { MainAreaWidget } from "@jupyterlab/apputils";

import { child } from "../frame";
import { asMain, Content } from "./mainviews";
import type { BuildItem, Step } from "./protocol";
import { plural, took } from "./words";

const WORDS: Record<string, string> = { cached: "from the cache", done: "carried out", failed: "failed", cancelled: "stopped" };

export function openSteps(build: BuildItem, steps: Step[]): MainAreaWidget {
  const content = new Content();
  const bar = child(content.node, "div", "jc-main-bar");
  child(bar, "strong", "", build.name);
  const when = new Date(build.started * 1000).toLocaleString();
  child(bar, "span", "", `${when} · ${took(build.seconds)} · ${build.cached} of ${plural(build.steps, "step")} cached`);
  const scroll = child(content.node, "div", "jc-main-scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Steps of ${build.name}`);
  const table = child(scroll, "table", "jc-files jc-steps");
  const head = child(child(table, "thead"), "tr");
  for (const title of ["Step", "Cache", "Time"]) child(head, "th", "", title);
  const lines = child(table, "tbody");
  for (const step of steps) {
    const line = child(lines, "tr");
    child(line, "td", "jc-mode", step.title);
    const cell = child(line, "td", "jc-why");
    child(cell, "span", `jc-build ${step.outcome === "cached" ? "cancelled cached" : step.outcome}`).setAttribute("aria-hidden", "true");
    cell.append(` ${WORDS[step.outcome] ?? step.outcome}`);
    if (step.reason) child(cell, "div", "jc-reason", step.reason);
    child(line, "td", "jc-number", took(step.seconds));
  }
  if (build.error) child(scroll, "p", "jc-notice", build.error);
  return asMain(content, `jupyter-containers-steps-${build.id}`, `Steps of ${build.name}`);
}

/** The steps of a past or future build: which are cached, and why the others are not. */
import type { MainAreaWidget } from "@jupyterlab/apputils";

import { child } from "../frame";
import { plural, took } from "../quantities";
import { asMain, Content } from "./mainviews";
import type { BuildItem, Step } from "./protocol";

const WORDS: Record<string, string> = {
  cached: "from the cache",
  done: "carried out",
  failed: "failed",
  cancelled: "stopped",
  wanted: "would be carried out",
};

export function openSteps(build: BuildItem, steps: Step[]): MainAreaWidget {
  const when = new Date(build.started * 1000).toLocaleString();
  const about = `${when} · ${took(build.seconds)} · ${build.cached} of ${plural(build.steps, "step")} cached`;
  const { content, scroll } = drawn(build.name, about, `Steps of ${build.name}`, steps);
  if (build.error) child(scroll, "p", "jc-lab-notice", build.error);
  return asMain(content, `jupyter-containers-steps-${build.id}`, `Steps of ${build.name}`);
}

/** The forecast for a build of a cell. */
export function openForecast(cell: string, name: string, steps: Step[]): MainAreaWidget {
  const cached = steps.filter((step) => step.outcome === "cached").length;
  const about =
    cached === steps.length
      ? "all of it would come from the cache"
      : `${cached} of ${plural(steps.length, "step")} would come from the cache`;
  const { content } = drawn(name, `built as the cell stands now, ${about}`, `Cache of ${name}`, steps);
  return asMain(content, `jupyter-containers-forecast-${cell}`, `Cache of ${name}`);
}

function drawn(name: string, about: string, label: string, steps: Step[]): { content: Content; scroll: HTMLElement } {
  const content = new Content();
  const bar = child(content.node, "div", "jc-lab-main-bar");
  child(bar, "strong", "", name);
  child(bar, "span", "", about);
  const scroll = child(content.node, "div", "jc-lab-main-scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", label);
  const table = child(scroll, "table", "jc-lab-files jc-lab-steps");
  const head = child(child(table, "thead"), "tr");
  const timed = steps.some((step) => step.outcome !== "wanted" && step.seconds > 0);
  for (const title of ["Step", "Cache", ...(timed ? ["Time"] : [])]) child(head, "th", "", title);
  const lines = child(table, "tbody");
  for (const step of steps) {
    const line = child(lines, "tr");
    child(line, "td", "jc-lab-mode", step.title);
    const cell = child(line, "td", "jc-lab-why");
    const mark = child(cell, "span", "jc-lab-mark jc-lab-build");
    mark.dataset.state = step.outcome;
    mark.setAttribute("aria-hidden", "true");
    cell.append(` ${WORDS[step.outcome] ?? step.outcome}`);
    if (step.reason) child(cell, "div", "jc-lab-reason", step.reason);
    if (timed) child(line, "td", "jc-lab-number", took(step.seconds));
  }
  return { content, scroll };
}

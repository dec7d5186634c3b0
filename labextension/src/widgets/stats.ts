/** The live resource usage of containers. */
import type { RenderProps } from "@anywidget/types";

import { addChartStyle, type Chart, COLOURS, type Line, makeChart } from "../chart";
import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";
import type { Sample, SampledUsage, StatsFromView, StatsToView } from "../messages";
import { binarySize, decimalSize } from "../quantities";
import css from "./stats.css";

const SPAN = 120; // seconds
const SHORTEST = 20;
const KEPT = 300;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addChartStyle(el);
  addStyle(el, css);
  frame.setTitle("Statistics");
  const link = connect<StatsFromView, StatsToView>(model, el);
  let samples: Sample[] = [];
  let paused = false;
  const hidden = new Set<string>();
  const colours = new Map<string, string>();

  const pause = frame.button("Pause", "Pause the charts", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    draw();
  });
  const legend = child(frame.body, "div", "jc-stats-legend");
  const charts = child(frame.body, "div", "jc-stats-charts");
  const percent = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} %`;
  const rate = (value: number): string => `${decimalSize(value)}/s`;
  const cpu = makeChart(charts, "CPU", percent, 1, 10);
  const memory = makeChart(charts, "Memory", (value) => binarySize(value), 2 ** 20);
  const network = makeChart(charts, "Network ↓ ↑", rate, 1, 1000);
  const block = makeChart(charts, "Disk read, write", rate, 1, 1000);
  const pids = makeChart(charts, "Processes", (value) => value.toFixed(0), 1, 5);

  const lines = (shown: SampledUsage[], value: (usage: SampledUsage) => number, dashed = false): Line[] =>
    shown.map(({ id }) => ({
      colour: colours.get(id) ?? COLOURS[0]!,
      dashed,
      points: samples.flatMap((sample): [number, number][] =>
        sample.containers.filter((usage) => usage.id === id).map((usage) => [sample.time, value(usage)]),
      ),
    }));
  const sum = (shown: SampledUsage[], value: (usage: SampledUsage) => number): number =>
    shown.reduce((total, usage) => total + value(usage), 0);

  function draw(): void {
    const last = samples[samples.length - 1];
    if (!last) return;
    drawLegend(last);
    const shown = latest(samples).filter((usage) => !hidden.has(usage.id));
    const now = last.containers.filter((usage) => !hidden.has(usage.id));
    // The charts fill from the left, then move on.
    const from = Math.max(last.time - SPAN, Math.min(samples[0]!.time, last.time - SHORTEST));
    const range = { from, to: last.time };
    const plain = (chart: Chart, text: string, ...drawn: Line[][]): void =>
      chart.draw({ ...range, now: text, lines: drawn.flat() });
    plain(
      cpu,
      percent(sum(now, (usage) => usage.cpu)),
      lines(shown, (usage) => usage.cpu),
    );
    const limits = new Set(now.map((usage) => usage.limit));
    const limit = limits.size === 1 ? [...limits][0] : 0;
    const used = sum(now, (usage) => usage.memory);
    memory.draw({
      ...range,
      now: limit ? `${binarySize(used)} / ${binarySize(limit)}` : binarySize(used),
      lines: lines(shown, (usage) => usage.memory),
      ...(limit ? { limit } : {}),
      marks: samples.filter((s) => s.containers.some((u) => u.oom && !hidden.has(u.id))).map((s) => s.time),
      markLabel: "out of memory",
    });
    plain(
      network,
      `${rate(sum(now, (u) => u.received))} · ${rate(sum(now, (u) => u.sent))}`,
      lines(shown, (u) => u.received),
      lines(shown, (u) => u.sent, true),
    );
    plain(
      block,
      `${rate(sum(now, (u) => u.read))} · ${rate(sum(now, (u) => u.written))}`,
      lines(shown, (u) => u.read),
      lines(shown, (u) => u.written, true),
    );
    plain(
      pids,
      String(sum(now, (u) => u.pids)),
      lines(shown, (u) => u.pids),
    );
    frame.setState(paused ? "paused" : now.length ? "" : "no running containers");
  }

  function drawLegend(last: Sample): void {
    const all = latest(samples);
    for (const usage of all) {
      if (!colours.has(usage.id)) colours.set(usage.id, COLOURS[colours.size % COLOURS.length]!);
    }
    const running = new Set(last.containers.map((usage) => usage.id));
    const wanted = all.map((u) => `${u.id}${u.name}${hidden.has(u.id)}${running.has(u.id)}`).join();
    if (legend.dataset.drawn === wanted) return;
    legend.dataset.drawn = wanted;
    legend.replaceChildren();
    for (const usage of all) {
      const item = child(legend, "button");
      item.type = "button";
      item.setAttribute("aria-pressed", String(!hidden.has(usage.id)));
      child(item, "i").style.background = colours.get(usage.id) ?? "";
      child(item, "span", "", running.has(usage.id) ? usage.name : `${usage.name} (ended)`);
      item.addEventListener("click", () => {
        if (!hidden.delete(usage.id)) hidden.add(usage.id);
        draw();
      });
    }
  }

  link.open((message) => {
    samples = message.kind === "hello" ? message.samples : [...samples, ...message.samples].slice(-KEPT);
    if (!paused) draw();
  });
  return () => link.close();
}

/** The latest sample of each container. */
function latest(samples: Sample[]): SampledUsage[] {
  const found = new Map<string, SampledUsage>();
  for (const sample of samples) for (const usage of sample.containers) found.set(usage.id, usage);
  return [...found.values()];
}

export default { render };

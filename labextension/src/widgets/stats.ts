/**
 * What containers use, as it changes.
 *
 * From the kernel: `hello` and `samples`, both with `samples`: a list of {time, containers: [...]};
 * `hello` brings those of the last minutes.  To it: nothing but the view's life.
 */
import type { RenderProps } from "@anywidget/types";

import { bytes, CHART_STYLE, type Chart, COLOURS, type Line, makeChart } from "../chart";
import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";

interface Usage {
  id: string;
  name: string;
  cpu: number;
  memory: number;
  limit: number;
  received: number; // bytes a second, as the three below
  sent: number;
  read: number;
  written: number;
  pids: number;
  oom: number; // out-of-memory kills since the sample before
}

interface Sample {
  time: number;
  containers: Usage[];
}

const STYLE = `
.jc-charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px 18px; padding: 8px 12px 12px; }
.jc-legend { display: flex; flex-wrap: wrap; gap: 2px 12px; padding: 6px 12px 0; }
.jc-legend button { border: 0; background: none; color: inherit; font: inherit; padding: 0; cursor: pointer; display: flex; align-items: center; gap: 5px; }
.jc-legend button[aria-pressed="false"] { opacity: .45; text-decoration: line-through; }
.jc-legend i { width: 10px; height: 10px; border-radius: 2px; display: inline-block; }
`;
const SPAN = 120; // seconds
const SHORTEST = 20;
const KEPT = 300;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, CHART_STYLE + STYLE);
  frame.setTitle("Statistics");
  const link = connect(model, el);
  let samples: Sample[] = [];
  let paused = false;
  const hidden = new Set<string>();
  const colours = new Map<string, string>();

  const pause = frame.button("Pause", "Hold the charts still", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    draw();
  });
  const legend = child(frame.body, "div", "jc-legend");
  const charts = child(frame.body, "div", "jc-charts");
  const percent = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} %`;
  const rate = (value: number): string => `${bytes(value)}/s`;
  const cpu = makeChart(charts, "CPU", percent, 1, 10);
  const memory = makeChart(charts, "Memory", (value) => bytes(value, true), 2 ** 20);
  const network = makeChart(charts, "Network ↓ ↑", rate, 1, 1000);
  const block = makeChart(charts, "Disk read, write", rate, 1, 1000);
  const pids = makeChart(charts, "Processes", (value) => value.toFixed(0), 1, 5);

  const lines = (shown: Usage[], value: (usage: Usage) => number, dashed = false): Line[] =>
    shown.map(({ id }) => ({
      colour: colours.get(id) ?? COLOURS[0]!,
      dashed,
      points: samples.flatMap((sample): [number, number][] =>
        sample.containers.filter((usage) => usage.id === id).map((usage) => [sample.time, value(usage)]),
      ),
    }));
  const sum = (shown: Usage[], value: (usage: Usage) => number): number =>
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
      now: limit ? `${bytes(used, true)} / ${bytes(limit, true)}` : bytes(used, true),
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
    const more = (message.samples ?? []) as Sample[];
    if (message.kind === "hello") samples = more;
    else if (message.kind === "samples") samples = [...samples, ...more].slice(-KEPT);
    if (!paused) draw();
  });
  return () => link.close();
}

/** Each container of the samples as it was last. */
function latest(samples: Sample[]): Usage[] {
  const found = new Map<string, Usage>();
  for (const sample of samples) for (const usage of sample.containers) found.set(usage.id, usage);
  return [...found.values()];
}

export default { render };

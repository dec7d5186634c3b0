/**
 * Small line charts (SVG) in the colours of the page.
 *
 * uPlot, the smallest library for such charts, is not used: minified it has 51 kB, and it draws axes in its own
 * colours on a canvas; this module has 1.8 kB in a bundle of 10 kB.
 */
import css from "./chart.css";
import { addStyle, child } from "./frame";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 80; // as in the style sheet

export interface Line {
  colour: string;
  points: [number, number][]; // time in seconds, value
  dashed?: boolean;
}

export interface Drawing {
  lines: Line[];
  from: number;
  to: number;
  now: string; // the present value, as text
  limit?: number; // a dashed line across, and the top where values are near it
  marks?: number[]; // times of something bad
  markLabel?: string;
}

export interface Chart {
  draw(drawing: Drawing): void;
}

/** Add the styles of charts and sparklines. */
export function addChartStyle(el: HTMLElement): void {
  addStyle(el, css);
}

// Distinguishable on white and on black, also without seeing red and green.
export const COLOURS = ["#3b78d8", "#d9822b", "#1b8a6b", "#a651b5", "#c23b58", "#6b8e23", "#0b8fa8", "#8a6d3b"];

// Labels are multiples of ``unit``; ``floor`` is the minimum of the upper limit.
export function makeChart(
  parent: Element,
  title: string,
  format: (value: number) => string,
  unit = 1,
  floor = 0,
): Chart {
  const box = child(parent, "div", "jc-chart");
  const head = child(box, "div", "jc-chart-head");
  child(head, "span", "", title);
  const now = child(head, "span");
  const place = child(box, "div");
  place.style.position = "relative";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  place.appendChild(svg);
  const top = child(place, "span", "jc-chart-top");
  return {
    draw(drawing) {
      now.textContent = now.title = drawing.now;
      svg.setAttribute("aria-label", `${title}: ${drawing.now}`);
      svg.replaceChildren();
      for (const mark of place.querySelectorAll(".jc-chart-mark")) mark.remove();
      const highest = Math.max(0, ...drawing.lines.flatMap((line) => line.points.map((point) => point[1])));
      const { limit } = drawing;
      const ceiling =
        limit && highest > limit * 0.4 ? limit * 1.05 : niceTop(Math.max(highest * 1.1, floor) / unit) * unit;
      top.textContent = ceiling > 0 ? format(limit && ceiling > limit ? limit : ceiling) : "";
      const span = Math.max(drawing.to - drawing.from, 1);
      const x = (time: number): number => ((time - drawing.from) / span) * WIDTH;
      const y = (value: number): number => HEIGHT - 1 - (value / (ceiling || 1)) * (HEIGHT - 4);
      if (limit && limit <= ceiling) {
        stroke(svg, `M0 ${y(limit)}H${WIDTH}`, "var(--jp-error-color1, #d14343)", "6 4", 1);
      }
      for (const line of drawing.lines) {
        const path = line.points.map(
          ([time, value], index) => `${index ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`,
        );
        stroke(svg, path.join(""), line.colour, line.dashed ? "3 3" : "", 1.5);
      }
      const marks = (drawing.marks ?? []).filter((time) => time >= drawing.from);
      for (const time of marks) {
        stroke(svg, `M${x(time)} 0V${HEIGHT}`, "var(--jp-error-color1, #d14343)", "", 1);
      }
      if (marks.length) {
        // One label for all of them, where there is no line.
        const label = `${drawing.markLabel ?? ""}${marks.length > 1 ? ` ×${marks.length}` : ""}`;
        const mark = child(place, "span", "jc-chart-mark", label);
        const first = (marks[0]! - drawing.from) / span;
        if (first > 0.5) mark.style.right = `calc(${(1 - first) * 100}% + 4px)`;
        else mark.style.left = "2px";
      }
    },
  };
}

/** A line without a frame, as high as its text. */
export function sparkline(values: number[], colour: string, top: number): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 60 16");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "jc-chart-spark");
  svg.setAttribute("aria-hidden", "true");
  const highest = Math.max(top, ...values, 1e-9);
  const step = 60 / Math.max(values.length - 1, 1);
  const path = values.map(
    (value, i) => `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(15 - (value / highest) * 14).toFixed(1)}`,
  );
  if (values.length > 1) stroke(svg, path.join(""), colour, "", 1.5);
  return svg;
}

function stroke(svg: SVGSVGElement, d: string, colour: string, dash: string, width: number): void {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", d);
  path.setAttribute("fill", "none");
  path.style.stroke = colour;
  path.setAttribute("stroke-width", String(width));
  path.setAttribute("vector-effect", "non-scaling-stroke");
  if (dash) path.setAttribute("stroke-dasharray", dash);
  svg.appendChild(path);
}

function niceTop(value: number): number {
  if (value <= 0) return 0;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  const scaled = value / magnitude;
  return (scaled <= 1 ? 1 : scaled <= 2 ? 2 : scaled <= 5 ? 5 : 10) * magnitude;
}

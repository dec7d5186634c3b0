/** Sizes and durations as on the command line, by the kernel's tables. */
import { BINARY, DECIMAL, type Scale, SPANS } from "./facts";

/** `187MB`: bytes in decimal units. */
export function decimalSize(bytes: number): string {
  return scaled(bytes, DECIMAL);
}

/** `7.773GiB`: bytes in binary units. */
export function binarySize(bytes: number): string {
  return scaled(bytes, BINARY);
}

/** `3 minutes`, `About an hour`: a duration in seconds as text. */
export function duration(seconds: number): string {
  const span = SPANS.find(({ below }) => seconds < below) ?? SPANS[SPANS.length - 1]!;
  return span.text.replace("{}", String(Math.floor(Math.trunc(seconds + span.more) / span.unit)));
}

/** `3 minutes ago`; times are seconds since the epoch. */
export function ago(then: number, now: number): string {
  return `${duration(Math.max(now - then, 0))} ago`;
}

/** Short, for a column: `0.4 s`, `12 s`, `3 min 20 s`. */
export function took(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** `1 step`, `3 steps`. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function scaled(bytes: number, { base, units, digits }: Scale): string {
  let value = bytes;
  let index = 0;
  while (value >= base && index < units.length - 1) {
    value /= base;
    index++;
  }
  return `${value && value < 1e-4 ? 0 : significant(value, digits)}${units[index]}`;
}

/** A number rounded to some digits; an exact half is rounded to even, as in Python and Go. */
function significant(value: number, digits: number): number {
  const [mantissa = "", exponent] = value.toExponential(60).split("e");
  const kept = mantissa.slice(0, digits + 1); // with the point
  const half = /^50*$/.test(mantissa.slice(digits + 1));
  return half && /[02468]$/.test(kept) ? Number(`${kept}e${exponent}`) : Number(value.toPrecision(digits));
}

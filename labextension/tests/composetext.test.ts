import { Text } from "@codemirror/state";
import { expect, test } from "vitest";

import { checked, FILE, isComposeCell } from "../src/lab/composetext";
import { characters, diagnostic, units } from "../src/lab/writing";

test("Compose files are known by their names", () => {
  const names = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.override.yaml",
    "compose.dev.yaml",
    "Compose.yaml",
    "mycompose.yaml",
    "compose.json",
    "values.yaml",
  ];
  expect(names.filter((name) => FILE.test(name))).toEqual(names.slice(0, 6));
});

test("a cell is checked below its magic", () => {
  expect(["%%compose", "\n%%compose up\na: b", "%%composer", "services:"].map(isComposeCell)).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(checked("\n%%compose -p shop\nservices:\n")).toEqual({ text: "services:\n", added: -2 });
  expect(checked("services:\n")).toEqual({ text: "services:\n", added: 0 });
  expect(["", "%%compose\n ", "%%compose --interpolate\na: {{b}}"].map(checked)).toEqual([null, null, null]);
});

test("a finding with a column marks its characters, also behind an emoji", () => {
  const doc = Text.of(["%%compose", "services:", "  🐳: {imag: x}"]);
  const found = { rule: "", message: "no", first_line: 2, last_line: 2, is_error: true, column: 6, length: 4 };
  const { from, to, source } = diagnostic(doc, found, -1, "Compose");
  expect([doc.sliceString(from, to), source]).toEqual(["imag", "Compose"]);
  expect([units("🐳a", 1), characters("🐳a", 2)]).toEqual([2, 1]);
  // A text that has become shorter since bounds it.
  const short = diagnostic(Text.of(["a"]), { ...found, column: 9 }, 0, "Compose");
  expect([short.from, short.to]).toEqual([1, 1]);
});

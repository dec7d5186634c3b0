import { expect, test } from "vitest";

import { checked, imageName, isDockerfileCell, keywordAt } from "../src/lab/dockerfiletext";

test("a cell is a Dockerfile by its first line", () => {
  const cells = [
    "%%dockerfile",
    "%%dockerfile -t a:1\nFROM x",
    "\n  %%dockerfile\n",
    "%%dockerfiles",
    "FROM x",
    "# %%dockerfile",
    "",
  ];
  expect(cells.map(isDockerfileCell)).toEqual([true, true, true, false, false, false, false]);
});

test("what is checked has the lines that the kernel sees", () => {
  expect(checked("FROM x\nRUN y")).toEqual({ text: "FROM x\nRUN y", added: 0 });
  expect(checked("%%dockerfile -t a\nFROM x")).toEqual({ text: "FROM x", added: -1 });
  expect(checked("\n\n%%dockerfile\nFROM x")).toEqual({ text: "FROM x", added: -3 });
  const below = checked("%%dockerfile --continue\nRUN y")!;
  expect([below.text.split("\n")[1], below.added]).toEqual(["RUN y", 0]);
  expect(["", "%%dockerfile\n \n", "%%dockerfile --interpolate\nFROM {{x}}"].map(checked)).toEqual([null, null, null]);
});

test("instructions are known where they begin a line, and only there", () => {
  const lines = ["from x AS y", "RUN one && \\", "# remark", "  run two", "  ONBUILD COPY a b", "EXPLODE", "RUNNER"];
  const found = lines.map((_, number) => keywordAt(lines, number)?.keyword ?? "");
  expect(found).toEqual(["FROM", "RUN", "", "", "COPY", "", ""]);
  expect(keywordAt(lines, 0)).toMatchObject({ from: 0, to: 4 });
});

test("the name of the image is that of the magic's line", () => {
  const lines = [
    "%%dockerfile -t a:1 .\nRUN x -t no",
    "%%dockerfile --no-cache --tag=b",
    "%%dockerfile --tag c",
    "%%dockerfile\n-t d",
  ];
  expect(lines.map(imageName)).toEqual(["a:1", "b", "c", ""]);
});

/** The project's own icons; their colours follow the theme. */
import { LabIcon } from "@jupyterlab/ui-components";

function icon(name: string, path: string): LabIcon {
  const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161" d="${path}"/></svg>`;
  return new LabIcon({ name: `jupyter-containers:${name}`, svgstr });
}

const BOX =
  "M12 1.8 2.6 6.6v10.8L12 22.2l9.4-4.8V6.6L12 1.8Zm0 2.25 6.4 3.27L12 10.6 5.6 7.32 12 4.05ZM4.6 9.05l6.4 3.27v7.13l-6.4-3.27V9.05Zm8.4 10.4v-7.13l6.4-3.27v7.13L13 19.45Z";

/** The container icon as a URL, for places that accept only URLs. */
export const containerUrl = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#1976d2" d="${BOX}"/></svg>`)}`;
export const containerIcon = icon("container", BOX);
export const buildIcon = icon(
  "build",
  "M13.8 3 21 10.2l-1.6 1.6-1.2-1.2-2.1 2.1 1 1-1.7 1.7-1-1L6 22.8 1.2 18 9.6 9.6l-1-1 1.7-1.7 1 1 2.1-2.1-1.2-1.2L13.8 3ZM4 18l2 2 7.5-7.5-2-2L4 18Z",
);
export const buildRunIcon = icon(
  "build-run",
  "M3 4v16l9-8-9-8Zm2 4.4L9 12l-4 3.6V8.4ZM13 4v16l9-8-9-8Zm2 4.4 4 3.6-4 3.6V8.4Z",
);
export const explainIcon = icon(
  "explain",
  "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm0 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16Zm-.9 11.2h1.9v1.9h-1.9v-1.9Zm1-8.9c2 0 3.5 1.2 3.5 3 0 1.2-.6 2-1.6 2.7-.8.6-1 .9-1 1.7v.3h-1.9v-.5c0-1.3.5-2 1.5-2.7.8-.6 1.1-.9 1.1-1.5 0-.8-.6-1.3-1.6-1.3-1 0-1.6.6-1.7 1.5H8.5c.1-2 1.5-3.2 3.6-3.2Z",
);

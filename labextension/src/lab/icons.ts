/** The project's own icon; its colours follow the theme. */
import { LabIcon } from "@jupyterlab/ui-components";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
<g class="jp-icon3" fill="#616161"><path d="M12 1.8 2.6 6.6v10.8L12 22.2l9.4-4.8V6.6L12 1.8Zm0 2.25 6.4 3.27L12 10.6 5.6 7.32
12 4.05ZM4.6 9.05l6.4 3.27v7.13l-6.4-3.27V9.05Zm8.4 10.4v-7.13l6.4-3.27v7.13L13 19.45Z"/></g></svg>`;

export const containerIcon = new LabIcon({ name: "jupyter-containers:container", svgstr: SVG });

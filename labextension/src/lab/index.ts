/** The JupyterLab extension: the list of its plugins. */
import type { JupyterFrontEndPlugin } from "@jupyterlab/application";

import { containers } from "./containers";
import { dockerfiles } from "./dockerfiles";
import { readable } from "./readable";

const plugins: JupyterFrontEndPlugin<unknown>[] = [readable, containers, dockerfiles];
export default plugins;

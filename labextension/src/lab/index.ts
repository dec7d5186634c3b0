/** The JupyterLab extension: the list of its plugins. */
import type { JupyterFrontEndPlugin } from "@jupyterlab/application";
import { dockerfiles } from "./dockerfiles";
import { containers } from "./plugin";
import { readable } from "./staticoutputs";

const plugins: JupyterFrontEndPlugin<unknown>[] = [readable, containers, dockerfiles];
export default plugins;

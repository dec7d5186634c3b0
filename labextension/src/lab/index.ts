/** The JupyterLab extension: the list of its plugins. */
import type { JupyterFrontEndPlugin } from "@jupyterlab/application";
import { composefiles } from "./composefiles";
import { dockerfiles } from "./dockerfiles";
import { containers } from "./plugin";
import { readable } from "./staticoutputs";

const plugins: JupyterFrontEndPlugin<unknown>[] = [readable, containers, dockerfiles, composefiles];
export default plugins;

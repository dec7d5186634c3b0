/** The JupyterLab extension: the list of its plugins. */
import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { readable } from './readable';

const plugins: JupyterFrontEndPlugin<void>[] = [readable];
export default plugins;

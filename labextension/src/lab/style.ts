/** The panel's style sheet, in the colours of the theme. */
export const STYLE = `
.jc-panel { display: flex; flex-direction: column; min-width: 220px; overflow: hidden;
  background: var(--jp-layout-color1); color: var(--jp-ui-font-color1); font-size: var(--jp-ui-font-size1);
  font-family: var(--jp-ui-font-family); }
.jc-panel-head { display: flex; align-items: center; gap: 4px; padding: 6px 8px; border-bottom: 1px solid var(--jp-border-color2); }
.jc-panel-head h2 { font-size: var(--jp-ui-font-size0); font-weight: 600; text-transform: uppercase; letter-spacing: 1px;
  margin: 0; flex: 1 1 auto; color: var(--jp-ui-font-color1); }
.jc-panel-tools { display: flex; gap: 6px; padding: 6px 8px; }
.jc-filter { flex: 1 1 auto; min-width: 60px; height: 26px; box-sizing: border-box; padding: 0 8px; font: inherit; color: inherit;
  background: var(--jp-layout-color1); border: 1px solid var(--jp-border-color1); border-radius: 2px; }
.jc-filter:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: -1px; }
.jc-filter::placeholder { color: var(--jp-ui-font-color2); opacity: 1; }
.jc-tool { font: inherit; color: inherit; height: 26px; padding: 0 8px; cursor: pointer; white-space: nowrap;
  background: var(--jp-layout-color1); border: 1px solid var(--jp-border-color1); border-radius: 2px; }
.jc-tool:hover:not(:disabled) { background: var(--jp-layout-color2); }
.jc-tool:focus-visible { outline: 2px solid var(--jp-brand-color1); }
.jc-tool.primary { background: var(--jp-brand-color0, #1565c0); border-color: transparent; color: var(--jp-ui-inverse-font-color1, #fff); }
.jc-tool.primary:hover:not(:disabled) { background: var(--jp-brand-color1); }
[data-jp-theme-light="false"] .jc-tool.primary { background: #1565c0; color: #fff; }
.jc-tool:disabled { opacity: .5; cursor: default; }
.jc-tree { position: relative; flex: 1 1 0; overflow-y: auto; overflow-x: hidden; outline: none; contain: strict; }
.jc-tree-space { position: relative; width: 100%; }
.jc-row { position: absolute; left: 0; right: 0; top: 0; box-sizing: border-box; display: flex; align-items: center; gap: 8px;
  padding: 0 8px 0 20px; cursor: default; overflow: hidden; }
.jc-row.jc-level1 { padding-left: 6px; gap: 4px; background: var(--jp-layout-color2); border-top: 1px solid var(--jp-border-color2); }
.jc-row:hover { background: var(--jp-layout-color2); }
.jc-row.jc-active { background: var(--jp-layout-color3); }
.jc-tree:focus .jc-row.jc-active { box-shadow: inset 0 0 0 2px var(--jp-brand-color1); }
.jc-fold { width: 0; height: 0; border: 4px solid transparent; border-left: 6px solid var(--jp-ui-font-color2); margin: 0 2px 0 6px; flex: none; }
.jc-fold.open { transform: rotate(90deg) translate(1px, 2px); }
.jc-section { font-weight: 600; flex: 1 1 auto; }
.jc-count { color: var(--jp-ui-font-color1); font-size: var(--jp-ui-font-size0); font-variant-numeric: tabular-nums; padding: 0 4px; }
.jc-nothing { color: var(--jp-ui-font-color2); font-style: italic; }
.jc-dot, .jc-cube, .jc-disk, .jc-net, .jc-build { flex: none; width: 9px; height: 9px; box-sizing: border-box; background: #7d838c; }
.jc-dot, .jc-net, .jc-build { border-radius: 50%; }
.jc-dot.created, .jc-dot.exited { background: transparent; border: 2px solid #7d838c; }
.jc-dot.running, .jc-build.done { background: #2a8f4d; }
.jc-dot.paused, .jc-dot.restarting, .jc-build.cancelled { background: #c77d1e; }
.jc-build.running { background: #3b78d8; animation: jc-pulse 1.2s ease-in-out infinite alternate; }
@keyframes jc-pulse { from { opacity: 1; } to { opacity: .35; } }
@media (prefers-reduced-motion: reduce) { .jc-build.running { animation: none; } }
.jc-dot.dead, .jc-build.killed, .jc-build.failed { background: #d14343; }
.jc-dot.failed { border-color: #d14343; }
.jc-cube { border-radius: 2px; background: var(--jp-brand-color1); }
.jc-cube.none { background: transparent; border: 2px dashed #7d838c; }
.jc-disk { border-radius: 5px / 3px; background: #8a6d3b; }
.jc-net { background: transparent; border: 2px solid #0b8fa8; }
.jc-middle { flex: 1 1 auto; min-width: 0; }
.jc-first, .jc-second { display: flex; gap: 6px; align-items: baseline; white-space: nowrap; overflow: hidden; line-height: 1.35; }
.jc-second { font-size: var(--jp-ui-font-size0); color: var(--jp-ui-font-color1); opacity: .86; }
.jc-name { font-weight: 500; overflow: hidden; text-overflow: ellipsis; flex: 0 1 auto; min-width: 3em; }
.jc-right { margin-left: auto; font-size: var(--jp-ui-font-size0); font-variant-numeric: tabular-nums; flex: none; }
.jc-below { overflow: hidden; text-overflow: ellipsis; }
.jc-port { flex: none; }
.jc-panel a.jc-port { color: var(--jp-content-link-color); text-decoration: underline; }
.jc-badge { flex: none; font-size: 10px; line-height: 14px; padding: 0 5px; border-radius: 8px; border: 1px solid currentColor; }
.jc-badge.healthy { color: #1f7a3d; } .jc-badge.unhealthy { color: #c23333; } .jc-badge.starting { color: #8a6100; }
[data-jp-theme-light="false"] .jc-badge.healthy { color: #7fd08f; }
[data-jp-theme-light="false"] .jc-badge.unhealthy { color: #ff8f95; }
[data-jp-theme-light="false"] .jc-badge.starting { color: #f3d79a; }
.jc-quick { position: absolute; right: 6px; top: 50%; transform: translateY(-50%); display: none; gap: 2px; padding-left: 12px;
  background: linear-gradient(to right, transparent, var(--jp-layout-color2) 10px); }
.jc-row:hover .jc-quick { display: flex; }
.jc-row.jc-active .jc-quick { background: linear-gradient(to right, transparent, var(--jp-layout-color3) 10px); }
.jc-quick-button { width: 24px; height: 24px; padding: 0; font-size: 12px; line-height: 1; cursor: pointer; color: inherit;
  background: var(--jp-layout-color1); border: 1px solid var(--jp-border-color1); border-radius: 3px; }
.jc-quick-button:hover { background: var(--jp-brand-color3); }
.jc-panel-empty { flex: 1 1 auto; padding: 16px 14px; display: flex; flex-direction: column; align-items: flex-start; gap: 10px; overflow: auto; }
.jc-panel-empty p { margin: 0; line-height: 1.45; }
.jc-form .jc-problem { margin: 0; max-width: 60ch; }
.jc-problem { color: var(--jp-ui-font-color1); border-left: 3px solid #d14343; padding-left: 8px; overflow-wrap: anywhere; }
.jc-panel-foot { padding: 3px 8px; font-size: var(--jp-ui-font-size0); border-top: 1px solid var(--jp-border-color2);
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; color: var(--jp-ui-font-color1); }
.jc-form { display: flex; flex-direction: column; gap: 8px; min-width: 440px; max-width: 640px; }
.jc-form .jc-field { display: grid; grid-template-columns: 6em 1fr; align-items: center; gap: 8px; }
.jc-form .jc-field input { width: 100%; }
.jc-form .jc-tick { display: flex; align-items: center; gap: 6px; }
.jc-preview { display: block; font-family: var(--jp-code-font-family); font-size: var(--jp-code-font-size); padding: 6px 8px;
  background: var(--jp-layout-color2); border-radius: 3px; white-space: pre-wrap; overflow-wrap: anywhere; }
.jc-prune { display: flex; flex-direction: column; gap: 4px; max-height: 50vh; overflow: auto; }
.jc-group { border: 1px solid var(--jp-border-color2); border-radius: 3px; padding: 4px 8px; }
.jc-group-title { flex: 1 1 auto; } .jc-group-size { font-variant-numeric: tabular-nums; }
.jc-group ul { margin: 4px 0 4px 24px; padding: 0; overflow-wrap: anywhere; }
.jc-total { font-weight: 600; }
.jc-main { display: flex; flex-direction: column; background: var(--jp-layout-color1); overflow: hidden; color: var(--jp-ui-font-color1); }
.jc-main .jc-box { flex: 1 1 auto; display: flex; flex-direction: column; border: 0; margin: 0; min-height: 0; }
.jc-main .jc-body { flex: 1 1 0; min-height: 0; display: flex; flex-direction: column; overflow: auto; }
.jc-main .jc-screen { flex: 1 1 0; height: auto; resize: none; }
.jc-main-bar { display: flex; align-items: center; gap: 6px; padding: 4px 8px; border-bottom: 1px solid var(--jp-border-color2); flex-wrap: wrap; }
.jc-main-scroll { flex: 1 1 0; overflow: auto; min-height: 0; padding: 4px 8px; }
.jc-files { width: 100%; border-collapse: collapse; }
.jc-files th { text-align: left; font-weight: 600; padding: 4px 8px; position: sticky; top: 0; background: var(--jp-layout-color1); }
.jc-files td { padding: 3px 8px; white-space: nowrap; border-top: 1px solid var(--jp-border-color3); }
.jc-files td:first-child { width: 100%; white-space: normal; overflow-wrap: anywhere; }
.jc-files .jc-number { text-align: right; font-variant-numeric: tabular-nums; }
.jc-files .jc-mode { font-family: var(--jp-code-font-family); font-size: var(--jp-code-font-size); }
.jc-steps td { vertical-align: top; } .jc-steps .jc-why { white-space: normal; min-width: 16em; }
.jc-steps .jc-build { display: inline-block; } .jc-build.cached { background: #3b78d8; }
.jc-steps .jc-reason { font-size: var(--jp-ui-font-size0); }
.jc-link { background: none; border: 0; padding: 0; font: inherit; color: var(--jp-content-link-color); cursor: pointer; text-align: left; text-decoration: underline; }
.jc-link:focus-visible { outline: 2px solid var(--jp-brand-color1); }
.jc-drop { outline: 2px dashed var(--jp-brand-color1); outline-offset: -6px; }
.jc-json { font-family: var(--jp-code-font-family); font-size: var(--jp-code-font-size); line-height: 1.5; }
.jc-json details { margin-left: 14px; } .jc-json summary { margin-left: -14px; cursor: pointer; }
.jc-json .jc-leaf { margin-left: 14px; overflow-wrap: anywhere; }
.jc-json .jc-key { color: var(--jp-mirror-editor-property-color, inherit); font-weight: 600; }
.jc-json .jc-string { color: var(--jp-mirror-editor-string-color); } .jc-json .jc-atom { color: var(--jp-mirror-editor-number-color); }
.jc-json .jc-hit { background: var(--jp-search-selected-match-background-color, #fb0); color: #000; }
`;

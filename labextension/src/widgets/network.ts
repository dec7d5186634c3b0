/**
 * Networks as pictures that follow what is attached and detached.
 *
 * From the kernel: `hello` and `drawn`, both with `networks` (each with the name, an SVG and the
 * names of its members), `json` and `news`; `notice` with a text where it cannot look any more.  To
 * it: nothing but the view's life.
 */
import type { RenderProps } from "@anywidget/types";

import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";

interface Network {
  name: string;
  svg: string;
  members: string[];
}

interface News {
  time: number;
  network: string;
  text: string;
}

const STYLE = `
.jc-networks { padding: 8px 12px; }
.jc-networks > div + div { margin-top: 10px; }
.jc-networks svg { display: block; width: 100%; max-width: 720px; height: auto; }
.jc-networks.jc-old { opacity: .55; }
.jc-networks .jc-fresh rect { animation: jc-fresh 2.5s ease-out; }
@keyframes jc-fresh { from { stroke: var(--jp-brand-color1, #1976d2); stroke-width: 4px; } }
.jc-news { margin: 0; padding: 4px 12px; list-style: none; max-height: 8.5em; overflow: auto;
  border-top: 1px solid var(--jp-border-color3, rgba(128,128,128,.2)); font-variant-numeric: tabular-nums; }
.jc-news li { line-height: 1.6; }
.jc-news time { color: var(--jp-ui-font-color2, inherit); margin-right: 10px; }
.jc-json { border-top: 1px solid var(--jp-border-color3, rgba(128,128,128,.2)); padding: 4px 12px; }
.jc-json summary { cursor: pointer; list-style-position: inside; color: var(--jp-ui-font-color2, inherit); }
.jc-json pre { margin: 4px 0; max-height: 300px; overflow: auto; font-family: var(--jp-code-font-family, monospace);
  font-size: 12px; line-height: 1.4; color: inherit; background: none; }
`;

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, STYLE);
  const link = connect(model, el);
  const notice = child(frame.body, "div", "jc-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const pictures = child(frame.body, "div", "jc-networks");
  const news = child(frame.body, "ul", "jc-news");
  news.setAttribute("aria-label", "What has happened");
  news.setAttribute("aria-live", "polite");
  const details = child(frame.body, "details", "jc-json");
  child(details, "summary", "", "JSON");
  const json = child(details, "pre");
  const known = new Map<string, Set<string>>();

  function draw(networks: Network[]): void {
    const places = networks.map((network) => {
      const place = document.createElement("div");
      place.dataset.network = network.name;
      place.appendChild(drawing(network.svg));
      const before = known.get(network.name);
      for (const card of place.querySelectorAll<SVGGElement>("[data-member]")) {
        if (before && !before.has(card.dataset.member ?? "")) card.classList.add("jc-fresh");
      }
      known.set(network.name, new Set(network.members));
      return place;
    });
    pictures.replaceChildren(...places);
    frame.setTitle(networks.map((network) => network.name).join(", "));
    const count = new Set(networks.flatMap((network) => network.members)).size;
    frame.setState(count === 1 ? "1 running container" : `${count} running containers`);
  }

  function tell(items: News[], several: boolean): void {
    news.hidden = items.length === 0;
    // The newest first: what has just happened is seen without scrolling.
    const lines = [...items].reverse().map((item) => {
      const line = document.createElement("li");
      child(line, "time", "", new Date(item.time * 1000).toLocaleTimeString());
      child(line, "span", "", several ? `${item.network}: ${item.text}` : item.text);
      return line;
    });
    news.replaceChildren(...lines);
  }

  link.open((message) => {
    if (message.kind === "hello" || message.kind === "drawn") {
      const networks = (message.networks ?? []) as Network[];
      draw(networks);
      tell((message.news ?? []) as News[], networks.length > 1);
      json.textContent = String(message.json ?? "");
      notice.hidden = true;
      pictures.classList.remove("jc-old");
    } else if (message.kind === "notice") {
      notice.textContent = String(message.text ?? "");
      notice.hidden = !notice.textContent;
      pictures.classList.add("jc-old");
    }
  });
  return () => link.close();
}

/** The kernel's SVG as an element of this page; parsed as XML, which runs nothing. */
function drawing(text: string): Node {
  return document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
}

export default { render };

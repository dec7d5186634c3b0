/** Networks as pictures, updated when containers connect and disconnect. */
import type { RenderProps } from "@anywidget/types";

import { addStyle, child, makeFrame } from "../frame";
import { connect } from "../link";
import type { DrawnNetwork, NetworkFromView, NetworkToView, News } from "../messages";
import css from "./network.css";

function render({ model, el }: RenderProps): () => void {
  const frame = makeFrame(el);
  addStyle(el, css);
  const link = connect<NetworkFromView, NetworkToView>(model, el);
  const notice = child(frame.body, "div", "jc-frame-notice");
  notice.setAttribute("role", "status");
  notice.hidden = true;
  const pictures = child(frame.body, "div", "jc-network-pictures");
  const news = child(frame.body, "ul", "jc-network-news");
  news.setAttribute("aria-label", "Events");
  news.setAttribute("aria-live", "polite");
  const details = child(frame.body, "details", "jc-network-json");
  child(details, "summary", "", "JSON");
  const json = child(details, "pre");
  const known = new Map<string, Set<string>>();

  function draw(networks: DrawnNetwork[]): void {
    const places = networks.map((network) => {
      const place = document.createElement("div");
      place.dataset.network = network.name;
      place.appendChild(drawing(network.svg));
      const before = known.get(network.name);
      for (const card of place.querySelectorAll<SVGGElement>("[data-member]")) {
        if (before && !before.has(card.dataset.member ?? "")) card.classList.add("jc-network-fresh");
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
    // The newest first, so that it is visible without scrolling.
    const lines = [...items].reverse().map((item) => {
      const line = document.createElement("li");
      child(line, "time", "", new Date(item.time * 1000).toLocaleTimeString());
      child(line, "span", "", several ? `${item.network}: ${item.text}` : item.text);
      return line;
    });
    news.replaceChildren(...lines);
  }

  link.open((message) => {
    if (message.kind !== "notice") {
      draw(message.networks);
      tell(message.news, message.networks.length > 1);
      json.textContent = message.json;
      notice.hidden = true;
      pictures.classList.remove("jc-network-old");
    } else {
      notice.textContent = message.text;
      notice.hidden = !message.text;
      pictures.classList.add("jc-network-old");
    }
  });
  return () => link.close();
}

/** The kernel's SVG as an element of this page; parsed as XML, which runs nothing. */
function drawing(text: string): Node {
  return document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
}

export default { render };

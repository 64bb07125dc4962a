/** The panel's own document: joins `<faq-panel>` and the page that frames it. No word of the conversation ever leaves the frame. */

import { FaqPanel } from "./panel.ts";

/** The attribute by which panel.html says that the document is ours; a page that shows the panel inline has it not. */
if (document.body?.hasAttribute("data-faq-frame")) joinFrame(new FaqPanel());

function joinFrame(panel: FaqPanel): void {
  /** The origin of the page around us, known from its first message; who may frame us at all is the channel's `frame-ancestors`. */
  let host: string | null = null;

  function tell(type: string, detail: Record<string, unknown> = {}): void {
    if (window.parent === window) return;
    if (host !== null || type === "ready") window.parent.postMessage({ faqAssistant: type, ...detail }, host ?? "*");
  }

  panel.addEventListener("panel-close", () => tell("close"));
  panel.addEventListener("panel-unread", (event) => tell("unread", (event as CustomEvent<Record<string, unknown>>).detail));
  panel.addEventListener("panel-said", (event) => tell("said", (event as CustomEvent<Record<string, unknown>>).detail));

  window.addEventListener("message", (event: MessageEvent<unknown>) => {
    if (event.source !== window.parent || window.parent === window) return;
    const message = event.data as { faqAssistant?: unknown; modal?: unknown; focus?: unknown; text?: unknown; locale?: unknown } | null;
    if (typeof message?.faqAssistant !== "string" || (host !== null && event.origin !== host)) return;
    host = event.origin;
    if (message.faqAssistant === "open") void panel.open(message.modal === true, message.focus !== false);
    if (message.faqAssistant === "closed") panel.closed();
    if (message.faqAssistant === "send" && typeof message.text === "string") panel.send(message.text);
    if (message.faqAssistant === "locale" && typeof message.locale === "string") void panel.setLocale(message.locale);
  });

  panel.addEventListener("panel-ready", () => {
    tell("ready");
    // Opened by its own address, without a page around it: there is nothing to open it from.
    if (window.parent === window) void panel.open(false, true);
  }, { once: true });
  document.body.append(panel);
}

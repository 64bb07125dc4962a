/** Live regions for screen readers. They stand in the light DOM: some readers miss those inside a shadow root. */

/** A screen reader drops what coincides with a moving focus. Milliseconds. */
const DELAY = 250;

export class Announcer {
  private readonly regions: Record<"polite" | "status" | "alert", HTMLElement>;
  private readonly timers = new Map<HTMLElement, ReturnType<typeof setTimeout>>();

  /** Puts the regions into the host, empty, so that they exist before anything is said. */
  constructor(host: HTMLElement) {
    const region = (name: string, value: string): HTMLElement => {
      const element = document.createElement("div");
      element.slot = "announcer";
      element.setAttribute(name, value);
      host.append(element);
      return element;
    };
    this.regions = { polite: region("aria-live", "polite"), status: region("role", "status"), alert: region("role", "alert") };
  }

  /** An answer: once a turn. */
  reply(text: string, language: string): void {
    this.say(this.regions.polite, text, language);
  }

  /** A state: connection, sending, saving. */
  status(text: string): void {
    this.say(this.regions.status, text);
  }

  /** An emergency or an error: interrupts. */
  alert(text: string, language?: string): void {
    this.say(this.regions.alert, text, language);
  }

  private say(region: HTMLElement, text: string, language?: string): void {
    clearTimeout(this.timers.get(region));
    this.timers.set(
      region,
      setTimeout(() => {
        const line = document.createElement("p");
        line.textContent = text;
        if (language) line.lang = language;
        region.replaceChildren(line);
      }, DELAY),
    );
  }
}

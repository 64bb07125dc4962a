/** A clinic's colours as CSS custom properties, moved where they could not be read. */

import { readableOn, readColour, standOut, TEXT_CONTRAST, writeColour, type Colour } from "./contrast.ts";

export const DEFAULT_PRIMARY: Colour = [15, 92, 104];
/** The surface and the text of panel.css, and the backgrounds of each scheme that are nearest to its texts. */
const LIGHT_SURFACE: Colour = [255, 255, 255];
const LIGHT_TEXT: Colour = [27, 42, 46];
const LIGHT_TINT: Colour = [237, 243, 243];
const DARK_TINT: Colour = [36, 50, 54];

/** The clinic's colour, and one that can be read on it: the wished one where it can be. */
export function launcherColours(colours: Record<string, string>): { primary: Colour; onPrimary: Colour } {
  const primary = readColour(colours["primary"]) ?? DEFAULT_PRIMARY;
  return { primary, onPrimary: readableOn(primary, readColour(colours["on_primary"])) };
}

/** Custom properties by name for the panel. Accents are the primary colour, readable as text on every background of their scheme. */
export function panelProperties(colours: Record<string, string>): Record<string, string> {
  const { primary, onPrimary } = launcherColours(colours);
  const surface = readColour(colours["surface"]);
  const text = readableOn(surface ?? LIGHT_SURFACE, readColour(colours["text"]) ?? LIGHT_TEXT);
  return {
    "--primary": writeColour(primary),
    "--on-primary": writeColour(onPrimary),
    "--accent-light": writeColour(standOut(primary, LIGHT_TINT, TEXT_CONTRAST)),
    "--accent-dark": writeColour(standOut(primary, DARK_TINT, TEXT_CONTRAST)),
    ...(surface ? { "--surface-light": writeColour(surface), "--text-light": writeColour(text) } : {}),
  };
}

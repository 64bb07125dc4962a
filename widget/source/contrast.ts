/** Contrast after WCAG 2.2, so that a clinic's colours never make a text unreadable. */

export type Colour = readonly [red: number, green: number, blue: number];

export const WHITE: Colour = [255, 255, 255];
export const BLACK: Colour = [0, 0, 0];
/** The least contrast of text, and of borders, icons and focus rings (1.4.3, 1.4.11). */
export const TEXT_CONTRAST = 4.5;
export const SHAPE_CONTRAST = 3;

/** `#rgb` or `#rrggbb` as three numbers of 0 to 255, or nothing. */
export function readColour(value: string | null | undefined): Colour | null {
  const digits = /^#([0-9a-f]{3}|[0-9a-f]{6})$/iu.exec(value?.trim() ?? "")?.[1];
  if (!digits) return null;
  const [red, green, blue] = digits.match(digits.length === 3 ? /./gu : /../gu) ?? [];
  const number = (part = "0"): number => parseInt(part.length === 1 ? part + part : part, 16);
  return [number(red), number(green), number(blue)];
}

export const writeColour = (colour: Colour): string =>
  `#${colour.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;

function luminance(colour: Colour): number {
  const [red, green, blue] = colour.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** 1 (none) to 21 (black on white). */
export function contrast(one: Colour, other: Colour): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The wished colour on this background if it can be read there, else black or white, whichever is read better. */
export function readableOn(background: Colour, wished: Colour | null): Colour {
  if (wished && contrast(background, wished) >= TEXT_CONTRAST) return wished;
  return contrast(background, WHITE) >= contrast(background, BLACK) ? WHITE : BLACK;
}

/** The colour, moved as little as needed towards black or white until it stands out from the background. */
export function standOut(colour: Colour, background: Colour, least: number): Colour {
  const towards = contrast(background, WHITE) >= contrast(background, BLACK) ? WHITE : BLACK;
  for (let step = 0; step < 20; step += 1) {
    const mixed = colour.map((part, place) => part + ((towards[place] ?? 0) - part) * (step / 20)) as unknown as Colour;
    if (contrast(mixed, background) >= least) return mixed;
  }
  return towards;
}

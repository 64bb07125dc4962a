/** Every word the widget itself says, from one locale file. */

import english from "../locales/en.json" with { type: "json" };

export type Words = Record<keyof typeof english, string>;

/** English is part of the bundle; another language is one more file beside it. */
export const ENGLISH: Words = english;

/**
 * The words of a locale file, English for what it lacks; the plain language when the region has no file of its own.
 *
 * A file is fetched as a module: a host page's policy that allows our script allows it too.
 */
export async function loadWords(base: URL, locale: string): Promise<Words> {
  const wanted = locale.toLowerCase();
  const language = wanted.split("-")[0] ?? "";
  for (const name of new Set([wanted, language])) {
    if (name === ENGLISH.language) return ENGLISH;
    if (!/^[a-z0-9-]{2,20}$/u.test(name)) continue;
    const file = new URL(`locales/${name}.js`, base).href;
    const words = await import(file).then((module: { default?: Partial<Words> }) => module.default, () => undefined);
    if (words) return { ...ENGLISH, ...words };
  }
  return ENGLISH;
}

/** The sentence with its `{names}` filled in. */
export function fill(sentence: string, values: Record<string, string | number>): string {
  return sentence.replace(/\{(\w+)\}/gu, (whole, name: string) => String(values[name] ?? whole));
}

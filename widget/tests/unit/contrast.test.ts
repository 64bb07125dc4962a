import assert from "node:assert/strict";
import { test } from "node:test";
import { BLACK, contrast, readableOn, readColour, standOut, TEXT_CONTRAST, WHITE, writeColour, type Colour } from "../../source/contrast.ts";
import { launcherColours, panelProperties } from "../../source/theme.ts";

const colour = (text: string): Colour => readColour(text) ?? assert.fail(text);

test("contrast is that of WCAG", () => {
  assert.equal(contrast(WHITE, BLACK), 21);
  assert.ok(Math.abs(contrast(colour("#777"), WHITE) - 4.48) < 0.01);
});

test("what is no colour is none", () => {
  for (const text of ["", "red", "#12", "#12345g", "url(x)", "#123456;x"]) assert.equal(readColour(text), null, text);
});

test("every colour a clinic may set ends in readable text, light and dark", () => {
  const surfaces = { "--accent-light": ["#ffffff", "#f4f7f7", "#edf3f3"], "--accent-dark": ["#1c272a", "#131b1d", "#243236"] };
  for (const primary of ["#ffff00", "#ffffff", "#000000", "#0f5c68", "#ff0066", "#88ccee", "#777777", "#123456"]) {
    for (const wished of ["#ffffff", "#000000", "#ffff00", "nonsense"]) {
      const { onPrimary } = launcherColours({ primary, on_primary: wished });
      assert.ok(contrast(colour(primary), onPrimary) >= TEXT_CONTRAST, `${primary} ${wished} ${writeColour(onPrimary)}`);
      const properties = panelProperties({ primary, on_primary: wished });
      for (const [name, backgrounds] of Object.entries(surfaces)) {
        for (const background of backgrounds) {
          const found = contrast(colour(properties[name] ?? ""), colour(background));
          assert.ok(found >= TEXT_CONTRAST, `${primary}: ${name} on ${background} has ${found}`);
        }
      }
    }
  }
});

test("a clinic's own surface keeps its text readable", () => {
  const properties = panelProperties({ primary: "#0f5c68", surface: "#222222", text: "#333333" });
  assert.ok(contrast(colour(properties["--text-light"] ?? ""), colour("#222222")) >= TEXT_CONTRAST);
});

test("a colour that stands out already is left as it is", () => {
  assert.deepEqual(standOut(colour("#0f5c68"), WHITE, TEXT_CONTRAST), colour("#0f5c68"));
  assert.deepEqual(readableOn(colour("#0f5c68"), colour("#ffffff")), WHITE);
});

/** `make test-browser`: the chat in Debian's Chromium, against the assistant really running. One server and one browser for all. */

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { accessibilityTests } from "./browser/accessibility.ts";
import { isolationTests } from "./browser/isolation.ts";
import { journeyTests } from "./browser/journey.ts";
import { clearStage, setStage, type Stage } from "./browser/stage.ts";

let stage: Stage | undefined;
before(async () => {
  stage = await setStage();
}, { timeout: 240_000 });
after(() => stage && clearStage(stage));

const onStage = (): Stage => stage ?? assert.fail("the assistant or the browser did not start");
journeyTests(onStage);
isolationTests(onStage);
accessibilityTests(onStage);

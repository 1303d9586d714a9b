// The look of the elements, in system colors unless the page says otherwise.
export const STYLE = `
:host {
  --_accent: var(--achado-accent, #1f6feb);
  display: inline-block;
  max-width: 100%;
  color: var(--achado-color, inherit);
  background: var(--achado-background, none);
  font: var(--achado-font, inherit);
}
:host([hidden]), [hidden] { display: none !important; }
.stage { position: relative; min-height: 2em; border-radius: var(--achado-radius, 0.5em); overflow: hidden; }
.stage video, .stage img, ::slotted(img) { display: block; max-width: 100%; width: 100%; height: auto; }
:host([mirror]) video { transform: scaleX(-1); }
.status, .error { margin: 0.5em 0 0; }
:host(:not([state="loading"])) .status { display: none; }
.error { color: var(--achado-error-color, #b3261e); overflow-wrap: anywhere; }
ol { list-style: none; margin: var(--achado-gap, 0.5em) 0 0; padding: 0; display: grid; gap: var(--achado-gap, 0.5em); }
ol:empty { display: none; }
li { display: grid; grid-template-columns: 1fr auto; column-gap: 1em; }
.name { overflow-wrap: anywhere; }
.score { font-variant-numeric: tabular-nums; }
.bar { grid-column: 1 / -1; height: var(--achado-bar-height, 0.25em); border-radius: 1em; overflow: hidden;
  background: color-mix(in srgb, currentColor 15%, transparent); }
.fill { display: block; height: 100%; background: var(--_accent); transform-origin: left; }
.fill:dir(rtl) { transform-origin: right; }
.controls { display: flex; gap: 0.5em; margin: 0.5em 0 0; }
button { font: inherit; min-height: 2.75em; padding: 0 1em; cursor: pointer; }
.announcement { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .fill { forced-color-adjust: none; background: CanvasText; }
}
`;

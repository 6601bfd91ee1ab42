// The contrast, by WCAG 2.2, of every text with its ground, and of the edges of controls with what is around them.
const colour = (text) => {
  const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
  return { channels: [red, green, blue], alpha };
};
const over = (top, under) => top.channels.map((each, at) => each * top.alpha + under[at] * (1 - top.alpha));
const luminance = (channels) => {
  const linear = channels.map((each) => each / 255).map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const ratio = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
// The grounds that an element may stand on: one colour, or each of a gradient's.
const grounds = (element) => {
  if (element === null) return [[255, 255, 255]];
  const style = getComputedStyle(element);
  const gradient = (style.backgroundImage.match(/rgba?\([^)]*\)/g) ?? []).map((each) => colour(each).channels);
  if (gradient.length) return gradient;
  const own = colour(style.backgroundColor);
  return own.alpha === 1 ? [own.channels] : grounds(element.parentElement).map((under) => over(own, under));
};
const lowest = (foreground, element) => Math.min(...grounds(element).map((ground) => ratio(over(foreground, ground), ground)));
const found = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  const words = texts.currentNode.textContent.trim();
  if (!words || element.closest("option, script, style, .skip") || !element.checkVisibility({ visibilityProperty: true })) continue;
  const style = getComputedStyle(element);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const shown = colour(element.closest("svg") ? style.fill : style.color);
  found.push({ kind: large ? "large" : "text", what: words.slice(0, 40), ratio: lowest(shown, element) });
}
for (const control of document.querySelectorAll("input:not([type=hidden], [type=file], [type=checkbox]), select, textarea")) {
  if (!control.checkVisibility({ visibilityProperty: true })) continue;
  const style = getComputedStyle(control);
  found.push({ kind: "text", what: `typed in ${control.name}`, ratio: lowest(colour(style.color), control) });
  const edge = style.borderStyle === "none" ? colour(style.backgroundColor) : colour(style.borderTopColor);
  found.push({ kind: "control", what: control.name, ratio: lowest(edge, control.parentElement) });
}
return found;

// Runs in the page: what can be told of how accessible it is (WCAG 2.1), from what is computed.
(() => {
  const parse = (colour) => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (colour.match(/[\d.]+/g) ?? []).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const luminance = ({ rgb }) => {
    const [red, green, blue] = rgb.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const groundOf = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const ground = parse(getComputedStyle(at).backgroundColor);
      if (ground.alpha > 0) return ground;
    }
    return { rgb: [255, 255, 255], alpha: 1 };
  };
  const contrast = (element) => {
    const [one, other] = [parse(getComputedStyle(element).color), groundOf(element)].map(luminance);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  const elements = [...document.body.querySelectorAll("*")];
  const hasText = (element) =>
    [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "",
    );
  const nameOf = (element) =>
    element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
  const controls = elements.filter((element) =>
    element.matches("a[href], button, input:not([type=hidden]), select, textarea"),
  );
  const boxes = controls.filter((element) => element.matches(".choice, button"));
  return {
    lang: document.documentElement.lang,
    title: document.title,
    headings: elements.filter(({ tagName }) => /^H\d$/.test(tagName)).map(({ tagName }) => tagName),
    mains: document.querySelectorAll("main").length,
    unnamed: controls.filter((element) => nameOf(element).trim() === "").length,
    controls: controls.map((element) => nameOf(element).trim()),
    hardToRead: elements
      .filter((element) => hasText(element) && contrast(element) < 4.5)
      .map((element) => `${element.textContent.trim()}: ${contrast(element).toFixed(2)}`),
    hardToHit: boxes.filter((element) => element.getBoundingClientRect().height < 44).length,
    isTooWide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    ground: getComputedStyle(document.body).backgroundColor,
  };
})();

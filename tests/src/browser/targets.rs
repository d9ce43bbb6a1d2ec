//! Whether what can be hit can be hit: the size of targets (WCAG 2.2, SC 2.5.8),
//! and whether the focus is ever hidden (SC 2.4.11).

use serde_json::Value;

use super::Browser;

/// Returns one line per target that is smaller than 24 × 24 CSS pixels and too close to another.
///
/// Excepted as in the criterion: links inside a line of text. A control inside a
/// `<label>` is as large as its label, which acts for it.
const TOO_SMALL: &str = r"
const LEAST = 24;
const shown = e => {
  if (!e.checkVisibility({visibilityProperty: true, opacityProperty: true})) return false;
  const r = e.getBoundingClientRect();
  // Hidden for the eye and kept for screen readers: nobody hits it.
  return r.width > 2 && r.height > 2 && !e.closest('.visually-hidden');
};
const inline = e => getComputedStyle(e).display.startsWith('inline')
  && [...e.parentElement.childNodes].some(n => n.nodeType === Node.TEXT_NODE && /\w/.test(n.textContent));
const area = e => {
  const label = e.matches('input') && e.closest('label');
  const r = (label || e).getBoundingClientRect();
  return {e, left: r.left, top: r.top, right: r.right, bottom: r.bottom, x: (r.left + r.right) / 2, y: (r.top + r.bottom) / 2};
};
const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [role=option], [role=button], [tabindex]:not([tabindex=\'-1\'])')]
  .filter(shown).map(area);
const small = all.filter(t => (t.right - t.left < LEAST - 0.5 || t.bottom - t.top < LEAST - 0.5) && !inline(t.e));
const distance = (t, box) => Math.hypot(Math.max(box.left - t.x, 0, t.x - box.right), Math.max(box.top - t.y, 0, t.y - box.bottom));
const related = (a, b) => a.contains(b) || b.contains(a);
return small.filter(t => all.some(other => other !== t && !related(t.e, other.e)
    && (distance(t, other) < LEAST / 2 || (small.includes(other) && Math.hypot(t.x - other.x, t.y - other.y) < LEAST))))
  .map(t => `${Math.round(t.right - t.left)} x ${Math.round(t.bottom - t.top)}: ${t.e.outerHTML.slice(0, 140)}`);
";

/// Returns where the focus is and what hides it, or null where nothing does.
///
/// Asked at the corners of the focused element, in the middle of its edges: what
/// is drawn there has to be it, something in it, or something around it.
const HIDDEN_FOCUS: &str = r"
const e = document.activeElement;
if (!e || e === document.body) return null;
const r = e.getBoundingClientRect();
if (r.width < 3 || r.height < 3) return null;
const name = (e.getAttribute('aria-label') || e.innerText || e.id || e.tagName).trim().slice(0, 60);
if (r.top < -0.5 || r.bottom > innerHeight + 0.5) return `${name}: outside of the window, from ${r.top} to ${r.bottom}`;
for (const [x, y] of [[(r.left + r.right) / 2, r.top + 1], [(r.left + r.right) / 2, r.bottom - 1]]) {
  const at = document.elementFromPoint(x, y);
  if (at && at !== e && !e.contains(at) && !at.contains(e)) return `${name}: under ${at.outerHTML.slice(0, 120)}`;
}
return null;
";

/// Returns one line per visible element that sticks out to the side, unless it lies in
/// something that may scroll sideways: code.
const STICKING_OUT: &str = r"
const width = document.documentElement.clientWidth;
const clipped = e => {
  for (let p = e; p && p !== document.body; p = p.parentElement) {
    if (p.matches('pre, .visually-hidden, .store-path-hash, svg')) return true;
    const overflow = getComputedStyle(p).overflowX;
    if (p !== e && (overflow === 'hidden' || overflow === 'clip')) return true;
  }
  return false;
};
return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility({visibilityProperty: true})).filter(e => {
  const r = e.getBoundingClientRect();
  return r.width > 2 && r.height > 2 && (r.right > width + 1 || r.left < -1) && !clipped(e);
}).map(e => `${Math.round(e.getBoundingClientRect().right)} of ${width}: ${e.outerHTML.slice(0, 140)}`).slice(0, 8);
";

/// Returns the scrollable-sideways elements that are neither code nor the closed list of tabs.
const SCROLLING: &str = r"
return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1)
  .filter(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && !e.closest('pre, textarea'))
  .map(e => `${e.scrollWidth} in ${e.clientWidth}: ${e.outerHTML.slice(0, 140)}`);
";

fn lines(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|lines| {
            lines
                .iter()
                .map(|line| line.as_str().unwrap_or_default().to_owned())
                .collect()
        })
        .unwrap_or_default()
}

impl Browser {
    /// One line per target that is too small and too close to another.
    ///
    /// # Errors
    /// When the page is gone.
    pub async fn small_targets(&self) -> anyhow::Result<Vec<String>> {
        Ok(lines(&self.script(TOO_SMALL, vec![]).await?))
    }

    /// Where the focus is and what hides it; nothing where it can be seen.
    ///
    /// # Errors
    /// When the page is gone.
    pub async fn hidden_focus(&self) -> anyhow::Result<Option<String>> {
        let hidden = self.script(HIDDEN_FOCUS, vec![]).await?;
        Ok(hidden.as_str().map(str::to_owned))
    }

    /// One line per element that sticks out of the window's side or scrolls sideways, code excepted.
    ///
    /// # Errors
    /// When the page is gone.
    pub async fn sideways(&self) -> anyhow::Result<Vec<String>> {
        let mut found = lines(&self.script(STICKING_OUT, vec![]).await?);
        found.extend(lines(&self.script(SCROLLING, vec![]).await?));
        Ok(found)
    }
}

//! How a page is drawn: widths, colour schemes, screenshots.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use serde_json::json;

use super::Browser;

/// A page width at which screenshots and checks are made, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A desktop: 1440.
    Wide,
    /// A small phone: 320.
    Narrow,
}

impl Width {
    /// In CSS pixels.
    pub const fn pixels(self) -> u32 {
        match self {
            Self::Wide => 1440,
            Self::Narrow => 320,
        }
    }
}

/// How a page is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// The light theme.
    Light,
    /// The dark theme.
    Dark,
    /// `forced-colors: active`, as Windows' high contrast.
    Forced,
}

impl Colours {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Forced];
}

impl Browser {
    /// Sets the window's width; the height is 900.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn resize(&self, width: Width) -> anyhow::Result<()> {
        self.window(width.pixels(), 900).await
    }

    /// Sets the window's size in CSS pixels.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn window(&self, width: u32, height: u32) -> anyhow::Result<()> {
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        )
        .await?;
        Ok(())
    }

    /// Sets the colour scheme that the system asks for.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn colours(&self, colours: Colours) -> anyhow::Result<()> {
        let scheme = if colours == Colours::Dark {
            "dark"
        } else {
            "light"
        };
        let forced = if colours == Colours::Forced {
            "active"
        } else {
            "none"
        };
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({"features": [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "forced-colors", "value": forced},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]}),
        )
        .await?;
        self.painted().await
    }

    /// Waits until what was changed has been painted: two frames.
    ///
    /// # Errors
    /// When the page is gone.
    pub async fn painted(&self) -> anyhow::Result<()> {
        self.script_async(
            "const done = arguments[arguments.length - 1]; requestAnimationFrame(() => requestAnimationFrame(() => done(true)))",
            vec![],
        )
        .await?;
        Ok(())
    }

    /// A screenshot of the whole page as WebP, at most 4,000 pixels high.
    ///
    /// # Errors
    /// As [`Self::cdp`].
    pub async fn screenshot(&self, file: &Path) -> anyhow::Result<()> {
        let shot = self
            .cdp(
                "Page.captureScreenshot",
                json!({"format": "webp", "quality": 72}),
            )
            .await?;
        let data = shot["data"].as_str().context("a screenshot has data")?;
        std::fs::write(
            file,
            base64::engine::general_purpose::STANDARD.decode(data)?,
        )?;
        Ok(())
    }
}

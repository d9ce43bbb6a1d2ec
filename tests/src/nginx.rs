//! nginx in front of the server: the reverse proxy that most people have.
//!
//! What it is told is `fixtures/nginx.conf`, the very lines that the README gives.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::component;
use crate::process::Process;

/// The lines of the README: one `location` for a server on port 8080.
pub const LOCATION: &str = include_str!("../fixtures/nginx.conf");

/// A port on which nobody listens. It may be taken between this call and its use.
///
/// # Errors
/// When none can be had.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running nginx. Dropping it ends it.
pub struct Nginx {
    _process: Process,
    _home: TempDir,
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub origin: String,
}

impl Nginx {
    /// Starts nginx on `port` with [`LOCATION`] before the server on port `server`.
    /// `None` where nginx is skipped by name.
    ///
    /// # Errors
    /// When it is missing or does not listen in time, with what it printed.
    pub async fn start(port: u16, server: u16) -> anyhow::Result<Option<Self>> {
        if component::skipped("nginx") {
            return Ok(None);
        }
        let home = tempfile::Builder::new()
            .prefix("snowbank-nginx-")
            .tempdir()?;
        let folder = home.path().display();
        let location = LOCATION.replace(":8080", &format!(":{server}"));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .collect();
        let config = home.path().join("nginx.conf");
        std::fs::write(
            &config,
            format!(
                "daemon off;\nmaster_process off;\nerror_log stderr;\npid {folder}/pid;\nevents {{}}\n\
                 http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{port};\n{location}}}\n}}\n"
            ),
        )?;
        // It lies in sbin, which is not on everybody's PATH.
        let sbin = std::path::Path::new("/usr/sbin/nginx");
        let program = if sbin.is_file() {
            sbin.into()
        } else {
            std::path::PathBuf::from("nginx")
        };
        let process = Process::start("nginx", Command::new(program).arg("-c").arg(&config))
            .context("nginx is missing: install nginx-light, or set SNOWBANK_SKIP=nginx")?;
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > end {
                bail!("nginx does not listen; it printed:\n{}", process.log.text());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Some(Self {
            _process: process,
            _home: home,
            origin: format!("http://127.0.0.1:{port}"),
        }))
    }
}

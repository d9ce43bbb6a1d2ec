//! `snowbank owner-link`: a way in for whoever holds the server's machine.

use std::process::ExitCode;

use anyhow::Context as _;

use super::{ServeArgs, print};
use crate::auth::links;
use crate::secrets;
use crate::server;

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config()?;
    let path = config.secret_path();
    let secret = secrets::read_state_secret(&path)
        .context("the state secret, which the server makes at its first start")?;
    let public_url = server::public_url_of(&config);
    let (link, _) = links::owner_link(&secret, &public_url)?;
    print(&format!(
        "Open this within {} minutes; it signs an owner in, once:\n\n  {link}\n",
        links::LINK_LIVES / 60
    ))?;
    Ok(ExitCode::SUCCESS)
}

//! The program: reads its command line and does what it says.

use std::process::ExitCode;

fn main() -> ExitCode {
    match snowbank::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("snowbank: {}", snowbank::cli::told(&error));
            ExitCode::FAILURE
        }
    }
}

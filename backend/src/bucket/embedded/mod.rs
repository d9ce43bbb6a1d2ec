//! An S3 server inside the process, over local folders whose files are the object keys.

pub mod key;

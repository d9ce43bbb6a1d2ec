//! What every HTTP answer of this server shares: bodies, request ids, security
//! headers, content negotiation, conditional requests.

pub mod accept;
pub mod body;
pub mod etag;
pub mod headers;
pub mod query;
pub mod range;
pub mod request_id;

pub use body::Body;
pub use request_id::RequestId;

/// A request as the connection delivers it.
pub type Request = http::Request<hyper::body::Incoming>;
/// An answer.
pub type Response = http::Response<Body>;

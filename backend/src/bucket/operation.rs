//! The requests that are sent to a bucket, by name.

/// A request that S3 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Operation {
    /// ListObjectsV2.
    List,
    /// GetObject, whole or a range.
    Get,
    /// HeadObject.
    Head,
    /// PutObject, conditional or not.
    Put,
    /// DeleteObject.
    Delete,
    /// CopyObject, or UploadPartCopy above 5 GiB.
    Copy,
    /// CreateMultipartUpload.
    MultipartCreate,
    /// UploadPart.
    MultipartPart,
    /// CompleteMultipartUpload.
    MultipartComplete,
    /// AbortMultipartUpload.
    MultipartAbort,
    /// ListMultipartUploads.
    MultipartList,
    /// GetBucketLifecycleConfiguration.
    Lifecycle,
    /// GetBucketVersioning.
    Versioning,
    /// ListObjectVersions.
    Versions,
    /// GetObjectLockConfiguration.
    ObjectLock,
    /// ListParts.
    Parts,
    /// DeleteObject of one version.
    DeleteVersion,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 17] = [
        Self::List,
        Self::Get,
        Self::Head,
        Self::Put,
        Self::Delete,
        Self::Copy,
        Self::MultipartCreate,
        Self::MultipartPart,
        Self::MultipartComplete,
        Self::MultipartAbort,
        Self::MultipartList,
        Self::Lifecycle,
        Self::Versioning,
        Self::Versions,
        Self::ObjectLock,
        Self::Parts,
        Self::DeleteVersion,
    ];

    /// A word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::MultipartCreate => "multipart-create",
            Self::MultipartPart => "multipart-part",
            Self::MultipartComplete => "multipart-complete",
            Self::MultipartAbort => "multipart-abort",
            Self::MultipartList => "multipart-list",
            Self::Lifecycle => "lifecycle",
            Self::Versioning => "versioning",
            Self::Versions => "versions",
            Self::ObjectLock => "object-lock",
            Self::Parts => "multipart-parts",
            Self::DeleteVersion => "delete-version",
        }
    }

    /// The IAM action that a policy has to allow for it.
    pub const fn action(self) -> &'static str {
        match self {
            Self::List => "s3:ListBucket",
            Self::Get | Self::Head => "s3:GetObject",
            Self::Put
            | Self::Copy
            | Self::MultipartCreate
            | Self::MultipartPart
            | Self::MultipartComplete => "s3:PutObject",
            Self::Delete => "s3:DeleteObject",
            Self::DeleteVersion => "s3:DeleteObjectVersion",
            Self::MultipartAbort => "s3:AbortMultipartUpload",
            Self::MultipartList => "s3:ListBucketMultipartUploads",
            Self::Lifecycle => "s3:GetLifecycleConfiguration",
            Self::Versioning => "s3:GetBucketVersioning",
            Self::Versions => "s3:ListBucketVersions",
            Self::ObjectLock => "s3:GetBucketObjectLockConfiguration",
            Self::Parts => "s3:ListMultipartUploadParts",
        }
    }

    /// What is done, for the sentence of an error: `listing`.
    pub(super) const fn doing(self) -> &'static str {
        match self {
            Self::List => "listing",
            Self::Get => "reading",
            Self::Head => "looking up",
            Self::Put => "writing",
            Self::Delete => "deleting",
            Self::Copy => "copying to",
            Self::MultipartCreate => "beginning an upload to",
            Self::MultipartPart => "uploading a part of",
            Self::MultipartComplete => "completing the upload to",
            Self::MultipartAbort => "giving up the upload to",
            Self::MultipartList => "listing the unfinished uploads of",
            Self::Lifecycle => "reading the lifecycle rules of",
            Self::Versioning => "asking for the versioning of",
            Self::Versions => "listing the versions of",
            Self::ObjectLock => "asking for the object lock of",
            Self::Parts => "listing the parts of",
            Self::DeleteVersion => "deleting a version of",
        }
    }
}

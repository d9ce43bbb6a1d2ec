//! The S3 operations that a folder can offer, tied to what one listener shows.
//!
//! Everything else of S3 (versions, ACLs, tags, policies, …) is answered `NotImplemented` by the `s3s` crate;
//! a few questions that clients ask by habit get the answer of a plain bucket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::conditions::{Preconditions, for_write};
use super::errors::{io_error, parse_key};
use super::folder::{Folder, FolderError};
use super::key::ObjectKey;
use super::reads::{self, Asked};
use super::tokens::Tokens;
use super::{lists, parts, writes};

/// The buckets of a server.
#[derive(Debug)]
pub struct Buckets {
    folders: RwLock<BTreeMap<String, Arc<Folder>>>,
    tokens: Tokens,
    /// Where CreateBucket makes folders; nowhere when `None`.
    new_buckets: Option<PathBuf>,
    durable: bool,
}

impl Buckets {
    /// Takes folders that are open already.
    pub fn new(
        folders: BTreeMap<String, Arc<Folder>>,
        new_buckets: Option<PathBuf>,
        durable: bool,
    ) -> Self {
        Self {
            folders: RwLock::new(folders),
            tokens: Tokens::default(),
            new_buckets,
            durable,
        }
    }

    /// The folder of a bucket.
    pub fn get(&self, bucket: &str) -> Option<Arc<Folder>> {
        self.folders
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(bucket)
            .cloned()
    }

    /// All buckets by name.
    pub fn all(&self) -> Vec<(String, Arc<Folder>)> {
        let folders = self.folders.read().unwrap_or_else(PoisonError::into_inner);
        folders
            .iter()
            .map(|(name, folder)| (name.clone(), folder.clone()))
            .collect()
    }

    fn create(&self, bucket: &str) -> S3Result<()> {
        let mut folders = self.folders.write().unwrap_or_else(PoisonError::into_inner);
        if folders.contains_key(bucket) {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "the bucket exists already"
            ));
        }
        let Some(parent) = &self.new_buckets else {
            return Err(s3_error!(
                AccessDenied,
                "buckets are declared in the server's configuration"
            ));
        };
        // A bucket's name has no slash and no leading dot: `s3s` checked it.
        let folder =
            Folder::open(&parent.join(bucket), self.durable).map_err(|error| match error {
                FolderError::Locked { .. } => s3_error!(BucketAlreadyExists, "{error}"),
                FolderError::Io { source, .. } => io_error("make the bucket's folder", &source),
            })?;
        folders.insert(bucket.to_owned(), Arc::new(folder));
        Ok(())
    }
}

/// What one listener shows of the buckets.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The buckets.
    pub buckets: Arc<Buckets>,
    /// Key prefixes that are neither listed nor served nor written here.
    pub hidden: Arc<[String]>,
}

impl Endpoint {
    fn folder(&self, bucket: &str) -> S3Result<Arc<Folder>> {
        self.buckets
            .get(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    fn shown<'k>(&self, key: &'k str) -> S3Result<ObjectKey<'k>> {
        let key = parse_key(key)?;
        if self
            .hidden
            .iter()
            .any(|hidden| key.as_str().starts_with(hidden.as_str()))
        {
            return Err(s3_error!(AccessDenied, "this key is not served here"));
        }
        Ok(key)
    }
}

fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

#[async_trait::async_trait]
impl S3 for Endpoint {
    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let folder = self.folder(&input.bucket)?;
        let key = self.shown(&input.key)?;
        let conditions = Preconditions {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let asked = Asked {
            conditions,
            range: input.range,
            part: input.part_number,
            headers: &request.headers,
        };
        answer(reads::find(&folder, key, &asked)?.into_get(key)?)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let folder = self.folder(&input.bucket)?;
        let key = self.shown(&input.key)?;
        let conditions = Preconditions {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let asked = Asked {
            conditions,
            range: input.range,
            part: input.part_number,
            headers: &request.headers,
        };
        answer(reads::find(&folder, key, &asked)?.into_head(key))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        self.shown(&request.input.key)?;
        answer(writes::put(&folder, request).await?)
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let (bucket, key) = writes::source(&input.copy_source)?;
        let from = self.folder(bucket)?;
        self.shown(key)?;
        let to = self.folder(&input.bucket)?;
        self.shown(&input.key)?;
        answer(writes::copy(from, to, input).await?)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let folder = self.folder(&input.bucket)?;
        self.shown(&input.key)?;
        let condition = for_write(input.if_match, None)?;
        writes::delete(&folder, input.key, condition).await?;
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        answer(writes::delete_many(&folder, self.hidden.clone(), request.input).await?)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let folder = self.folder(&request.input.bucket)?;
        answer(
            lists::objects_v2(
                &folder,
                self.hidden.clone(),
                &self.buckets.tokens,
                request.input,
            )
            .await?,
        )
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        answer(lists::objects_v1(&folder, self.hidden.clone(), request.input).await?)
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let prefix = request.input.prefix.unwrap_or_default();
        let buckets = self
            .buckets
            .all()
            .into_iter()
            .filter(|(name, _)| name.starts_with(&prefix));
        let buckets = buckets.map(|(name, folder)| Bucket {
            name: Some(name),
            creation_date: folder
                .path()
                .metadata()
                .and_then(|found| found.created().or_else(|_| found.modified()))
                .ok()
                .map(Into::into),
            ..Bucket::default()
        });
        answer(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(lists::owner()),
            ..ListBucketsOutput::default()
        })
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.folder(&request.input.bucket)?;
        answer(HeadBucketOutput {
            bucket_region: Some("us-east-1".to_owned()),
            ..HeadBucketOutput::default()
        })
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.folder(&request.input.bucket)?;
        answer(GetBucketLocationOutput::default())
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        self.folder(&request.input.bucket)?;
        Err(s3_error!(
            NoSuchLifecycleConfiguration,
            "The lifecycle configuration does not exist"
        ))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.folder(&request.input.bucket)?;
        answer(GetBucketVersioningOutput::default())
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        let key = self.shown(&request.input.key)?;
        let found = folder
            .version(key)
            .map_err(|error| io_error("look at the object", &error))?;
        found.ok_or_else(super::errors::no_such_key)?;
        answer(GetObjectTaggingOutput {
            tag_set: Vec::new(),
            version_id: None,
        })
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        let location = format!("/{bucket}");
        let buckets = self.buckets.clone();
        writes::blocking(move || buckets.create(&bucket)).await?;
        answer(CreateBucketOutput {
            location: Some(location),
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        self.shown(&request.input.key)?;
        answer(parts::create(&folder, request.input).await?)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        self.shown(&request.input.key)?;
        answer(parts::put(&folder, request).await?)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        let (bucket, key) = writes::source(&input.copy_source)?;
        let from = self.folder(bucket)?;
        self.shown(key)?;
        let to = self.folder(&input.bucket)?;
        self.shown(&input.key)?;
        answer(parts::copy(from, to, input).await?)
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        self.shown(&request.input.key)?;
        answer(parts::list(&folder, request.input).await?)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        self.shown(&request.input.key)?;
        answer(parts::complete(&folder, request.input).await?)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        self.shown(&request.input.key)?;
        parts::abort(&folder, request.input.upload_id, request.input.key).await?;
        answer(AbortMultipartUploadOutput::default())
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let folder = self.folder(&request.input.bucket)?;
        answer(lists::unfinished(&folder, &self.hidden, request.input).await?)
    }
}

//! Named tensors in `safetensors` files: a format that holds numbers and cannot execute code.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

use crate::nn::parameters::Parameters;

/// A weights file that cannot be read or written.
#[derive(Debug, Error)]
pub enum TensorFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file
        path: PathBuf,
        /// What the system said
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] simile_data::DataError),
    /// Truncated, damaged, or not a safetensors file.
    #[error("{path} is damaged or not a safetensors file ({reason}): copy it again from where it came")]
    Damaged {
        /// The file
        path: PathBuf,
        /// What is wrong
        reason: String,
    },
}

/// Writes tensors and metadata atomically.
///
/// # Errors
/// If the folder cannot be written or the disk is full.
pub fn write(
    path: &Path,
    parameters: &Parameters,
    metadata: HashMap<String, String>,
) -> Result<(), TensorFileError> {
    let views = parameters.iter().map(|(name, data)| {
        let view = TensorView::new(dtype(data.dtype()), data.shape().to_vec(), data.as_bytes());
        (name.as_str(), view.expect("a tensor has as many bytes as its shape says"))
    });
    let damaged = |error: safetensors::SafeTensorError| TensorFileError::Damaged {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(damaged)?;
    Ok(simile_data::write_file(path, bytes)?)
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        other => unreachable!("weights are f32 and orders are integers, not {other:?}"),
    }
}

/// Reads what [`write`] wrote; sizes are checked against the file before tensors are made.
///
/// # Errors
/// If the file cannot be read, is truncated, or is something else.
pub fn read(path: &Path) -> Result<(Parameters, HashMap<String, String>), TensorFileError> {
    let bytes =
        std::fs::read(path).map_err(|source| TensorFileError::Read { path: path.to_path_buf(), source })?;
    let damaged = |reason: String| TensorFileError::Damaged { path: path.to_path_buf(), reason };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut parameters = Parameters::new();
    for (name, view) in file.tensors() {
        let data =
            decode(&view).ok_or_else(|| damaged(format!("`{name}` has element type {:?}", view.dtype())))?;
        parameters.insert(name, data);
    }
    Ok((parameters, metadata))
}

fn decode(view: &TensorView) -> Option<TensorData> {
    let shape = view.shape().to_vec();
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F32 => TensorData::new(elements(bytes, f32::from_le_bytes), shape),
        Dtype::I64 => TensorData::new(elements(bytes, i64::from_le_bytes), shape),
        Dtype::I32 => TensorData::new(elements(bytes, i32::from_le_bytes), shape),
        _ => return None,
    };
    Some(data)
}

fn elements<T, const N: usize>(bytes: &[u8], decode: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|chunk| decode(chunk.try_into().expect("a chunk of N bytes"))).collect()
}

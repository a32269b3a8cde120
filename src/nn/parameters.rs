//! The weights of a module by name, for bundles, checkpoints and optimisers.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Int, Tensor, TensorData};
use thiserror::Error;

/// Weights by dotted path within the module, in the order of the paths.
pub type Parameters = BTreeMap<String, TensorData>;

/// A set of weights that does not fit a module.
#[derive(Debug, Error)]
pub enum ParameterError {
    /// The module has a weight that the set lacks.
    #[error("weight `{0}` is missing: the file belongs to a model of another shape")]
    Missing(String),
    /// The set has a weight that the module lacks.
    #[error("unknown weight `{0}`: the file belongs to a model of another shape")]
    Unknown(String),
    /// An order of columns is none.
    #[error("`{0}` is no permutation: the file is damaged")]
    Order(String),
    /// A weight has another shape.
    #[error("weight `{name}` has shape {found:?}, the model needs {expected:?}")]
    Shape {
        /// Path of the weight
        name: String,
        /// Shape in the set
        found: Vec<usize>,
        /// Shape in the module
        expected: Vec<usize>,
    },
}

/// Copies of all weights of a module.
pub fn collect<M: Module>(module: &M) -> Parameters {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.parameters
}

/// Number of trainable weights.
pub fn count<M: Module>(module: &M) -> usize {
    collect(module).values().filter(|data| data.dtype().is_float()).map(TensorData::num_elements).sum()
}

/// The module with its weights replaced.
///
/// # Errors
/// If a weight is missing, left over, or of another shape.
pub fn load<M: Module>(module: M, parameters: Parameters) -> Result<M, ParameterError> {
    let mut loader = Loader { path: Vec::new(), parameters, error: None };
    let module = module.map(&mut loader);
    match (loader.error, loader.parameters.pop_first()) {
        (Some(error), _) => Err(error),
        (None, Some((name, _))) => Err(ParameterError::Unknown(name)),
        (None, None) => Ok(module),
    }
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    parameters: Parameters,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.parameters.insert(self.path.join("."), param.val().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.parameters.insert(self.path.join("."), param.val().into_data());
    }
}

struct Loader {
    path: Vec<String>,
    parameters: Parameters,
    error: Option<ParameterError>,
}

impl Loader {
    fn take(&mut self, expected: Vec<usize>) -> Option<TensorData> {
        let name = self.path.join(".");
        let Some(data) = self.parameters.remove(&name) else {
            self.error.get_or_insert(ParameterError::Missing(name));
            return None;
        };
        let found = data.shape().to_vec();
        if found != expected {
            self.error.get_or_insert(ParameterError::Shape { name, found, expected });
            return None;
        }
        Some(data)
    }
}

impl ModuleMapper for Loader {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.take(param.dims().to_vec()) else { return param };
        param.map(|old| {
            let new = Tensor::from_data(data, &old.device());
            if old.is_tracked() { new.require_grad() } else { new }
        })
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(data) = self.take(param.dims().to_vec()) else { return param };
        // The only integers of a module are orders of columns.
        let mut order: Vec<i64> = data.iter::<i64>().collect();
        order.sort_unstable();
        if order.iter().zip(0..).any(|(&found, expected)| found != expected) {
            self.error.get_or_insert(ParameterError::Order(self.path.join(".")));
            return param;
        }
        param.map(|old| Tensor::from_data(data, &old.device()))
    }
}

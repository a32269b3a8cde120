//! AdamW over all weights of a module, with clipping of the global gradient norm and the moving average of the
//! weights.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Shape, Tensor, TensorData};
use rayon::prelude::*;

use super::TrainingConfig;
use super::workers::{Alone, Workers};
use crate::kernels::{self, AdamWStep};
use crate::nn::parameters::{self, ParameterError, Parameters};

/// Usual decay of the first and second moments (Kingma & Ba 2014).
const MOMENTS: [f64; 2] = [0.9, 0.999];
/// Keeps the step finite where the second moment vanishes.
const EPSILON: f32 = 1e-8;

/// State of one weight, flattened.
struct Slot {
    first: Tensor<1>,
    second: Tensor<1>,
    average: Tensor<1>,
    /// Steps this weight took part in.
    steps: u64,
}

/// See the module documentation.
pub struct Optimizer {
    slots: BTreeMap<String, Slot>,
    moments: [f64; 2],
    /// Steps taken.
    pub(super) steps: u64,
}

/// First moments, second moments and averages of all weights by path.
pub(super) struct OptimizerState {
    pub(super) first: Parameters,
    pub(super) second: Parameters,
    pub(super) average: Parameters,
}

impl Optimizer {
    /// Moments of zero; the average starts at the weights.
    pub fn new<M: Module>(module: &M, device: &Device) -> Self {
        let mut slots = BTreeMap::new();
        let trainable = parameters::collect(module).into_iter().filter(|(_, data)| data.dtype().is_float());
        for (name, data) in trainable {
            let length = data.num_elements();
            let zeros = || Tensor::zeros([length], device);
            let average = Tensor::<1>::from_data(flat(data), device);
            slots.insert(name, Slot { first: zeros(), second: zeros(), average, steps: 0 });
        }
        Self { slots, moments: MOMENTS, steps: 0 }
    }

    /// With other decays of the first and second moments.
    pub fn with_moments(self, moments: [f64; 2]) -> Self {
        Self { moments, ..self }
    }

    /// The state as it is stored in a checkpoint.
    pub(super) fn state(&self) -> OptimizerState {
        let collect = |part: fn(&Slot) -> &Tensor<1>| {
            self.slots.iter().map(|(name, slot)| (name.clone(), part(slot).to_data())).collect()
        };
        OptimizerState {
            first: collect(|s| &s.first),
            second: collect(|s| &s.second),
            average: collect(|s| &s.average),
        }
    }

    /// Steps that each weight took part in.
    pub(super) fn weight_steps(&self) -> BTreeMap<String, u64> {
        self.slots.iter().map(|(name, slot)| (name.clone(), slot.steps)).collect()
    }

    /// Restores what [`Optimizer::state`] gave.
    pub(super) fn restore(
        &mut self,
        mut state: OptimizerState,
        (steps, weight_steps): (u64, &BTreeMap<String, u64>),
        device: &Device,
    ) -> Result<(), ParameterError> {
        self.steps = steps;
        for (name, slot) in &mut self.slots {
            slot.steps = *weight_steps.get(name).ok_or_else(|| ParameterError::Missing(name.clone()))?;
            let take = |part: &mut Parameters, old: &Tensor<1>| {
                let data = part.remove(name).ok_or_else(|| ParameterError::Missing(name.clone()))?;
                let (found, expected) = (data.shape().to_vec(), old.dims().to_vec());
                if found != expected {
                    return Err(ParameterError::Shape { name: name.clone(), found, expected });
                }
                Ok(Tensor::from_data(data, device))
            };
            slot.first = take(&mut state.first, &slot.first)?;
            slot.second = take(&mut state.second, &slot.second)?;
            slot.average = take(&mut state.average, &slot.average)?;
        }
        Ok(())
    }

    /// Averaged weights with the shapes of `module`; weights that are not trained are those of the module.
    pub(crate) fn averaged<M: Module>(&self, module: &M) -> Parameters {
        let mut weights = parameters::collect(module);
        for (name, slot) in &self.slots {
            if let Some(weight) = weights.get_mut(name) {
                let shape = weight.shape().clone();
                *weight = reshaped(slot.average.to_data(), shape);
            }
        }
        weights
    }

    /// One step. Returns the module and the norm of the gradient before clipping; a norm that is not finite leaves
    /// the module as it was.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: Gradients,
        learning_rate: f64,
        config: &TrainingConfig,
    ) -> (M, f64) {
        self.step_together(module, gradients, learning_rate, config, &Alone)
    }

    /// The same with the sum of the gradients of all processes.
    pub(super) fn step_together<M: Module>(
        &mut self,
        module: M,
        gradients: Gradients,
        learning_rate: f64,
        config: &TrainingConfig,
        workers: &dyn Workers,
    ) -> (M, f64) {
        let mut collector = GradientCollector { path: Vec::new(), gradients, flat: BTreeMap::new() };
        module.visit(&mut collector);
        add_up(&mut collector.flat, workers);
        let norm = norm(&collector.flat);
        if !norm.is_finite() {
            return (module, norm);
        }
        self.steps += 1;
        let numbers = StepNumbers { moments: self.moments, norm, learning_rate, config };
        let mut update =
            Update { path: Vec::new(), gradients: collector.flat, slots: &mut self.slots, numbers };
        (module.map(&mut update), norm)
    }
}

/// What the steps of all weights share.
struct StepNumbers<'a> {
    moments: [f64; 2],
    norm: f64,
    learning_rate: f64,
    config: &'a TrainingConfig,
}

impl StepNumbers<'_> {
    /// The t-th step of a weight.
    fn step(&self, t: u64) -> AdamWStep {
        let (t, config) = (t as f64, self.config);
        let [beta_1, beta_2] = self.moments;
        AdamWStep {
            learning_rate: self.learning_rate as f32,
            beta_1: beta_1 as f32,
            beta_2: beta_2 as f32,
            epsilon: EPSILON,
            weight_decay: config.weight_decay as f32,
            correction_1: (1.0 - beta_1.powf(t)) as f32,
            correction_2: (1.0 - beta_2.powf(t)) as f32,
            gradient_scale: (config.gradient_clip / self.norm.max(f64::MIN_POSITIVE)).min(1.0) as f32,
            // A long memory would keep the random initial weights: it grows with the number of steps.
            average_decay: config.average_decay.min((1.0 + t) / (10.0 + t)) as f32
                * f32::from(config.average_decay > 0.0),
        }
    }
}

fn reshaped(data: TensorData, shape: impl Into<Shape>) -> TensorData {
    let (bytes, _, dtype) = data.into_parts();
    TensorData::from_bytes(bytes, shape, dtype)
}

fn flat(data: TensorData) -> TensorData {
    let length = data.num_elements();
    reshaped(data, [length])
}

/// Adds up gradients over all processes, in one message.
fn add_up(gradients: &mut BTreeMap<String, TensorData>, workers: &dyn Workers) {
    if workers.size() == 1 {
        return;
    }
    let values = |data: &TensorData| data.as_slice::<f32>().expect("gradients are f32").to_vec();
    let mut all: Vec<f32> = gradients.values().flat_map(values).collect();
    workers.sum_gradients(&mut all);
    let mut rest = all.into_iter();
    for data in gradients.values_mut() {
        let length = data.num_elements();
        *data = TensorData::new(rest.by_ref().take(length).collect(), [length]);
    }
}

/// Elements summed before the partial sums are added in order: the norm does not depend on the number of threads.
const ELEMENTS_PER_SUM: usize = 16 * 1024;

fn norm(gradients: &BTreeMap<String, TensorData>) -> f64 {
    let square = |g: &f32| f64::from(*g) * f64::from(*g);
    let sum = |data: &TensorData| -> f64 {
        let values = data.as_slice::<f32>().expect("gradients are f32");
        let parts: Vec<f64> =
            values.par_chunks(ELEMENTS_PER_SUM).map(|c| c.iter().map(square).sum()).collect();
        parts.iter().sum()
    };
    gradients.values().map(sum).sum::<f64>().sqrt()
}

struct GradientCollector {
    path: Vec<String>,
    gradients: Gradients,
    flat: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for GradientCollector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(&mut self.gradients) {
            self.flat.insert(self.path.join("."), flat(gradient.into_data()));
        }
    }
}

struct Update<'a> {
    path: Vec<String>,
    gradients: BTreeMap<String, TensorData>,
    slots: &'a mut BTreeMap<String, Slot>,
    numbers: StepNumbers<'a>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        // A weight without gradient in this step keeps its state.
        let Some(gradient) = self.gradients.remove(&name) else { return param };
        let Some(slot) = self.slots.remove(&name) else { return param };
        let steps = slot.steps + 1;
        let step = self.numbers.step(steps);
        let (id, value, mapper) = param.consume();
        let shape = value.shape();
        let parameter = value.inner().flatten::<1>(0, D - 1);
        let gradient = Tensor::from_data(gradient, &parameter.device());
        let [parameter, first, second, average] =
            kernels::adamw([parameter, slot.first, slot.second, slot.average], gradient, step);
        self.slots.insert(name, Slot { first, second, average, steps });
        let value = Tensor::from_inner(parameter.reshape(shape)).require_grad();
        Param::from_mapped_value(id, value, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use simile_data::random;

    use super::*;
    use crate::kernels::{Activation, Blocks, MlpShape};
    use crate::nn::{Mlp, MlpConfig};

    /// One linear layer: two weights, then the bias.
    fn layer() -> Mlp {
        let activation = Activation::Relu;
        let shape =
            MlpShape { inputs: 2, outputs: 1, width: 1, hidden: 0, blocks: Blocks::Plain, activation };
        let config = MlpConfig { shape, output_gain: 1.0 };
        config.init(&Device::flex().autodiff(), &mut random::stream(1, "test/init", 0))
    }

    /// Gradients of the sum of outputs for one event: x for the weights, 1 for the bias.
    fn gradients(layer: &Mlp, x: [f32; 2]) -> Gradients {
        let x = Tensor::<2>::from_data([x], &Device::flex().autodiff());
        layer.forward(x).sum().backward()
    }

    fn weights(parameters: &Parameters) -> Vec<f64> {
        parameters["weights"].iter::<f64>().collect()
    }

    /// Algorithm 2 of Loshchilov & Hutter in `f64`, with clipping and the average of the weights.
    fn expected(
        mut theta: Vec<f64>,
        inputs: &[[f32; 2]],
        rate: f64,
        config: &TrainingConfig,
    ) -> [Vec<f64>; 2] {
        let (mut m, mut v, mut average) = (vec![0.0; 3], vec![0.0; 3], theta.clone());
        for (t, x) in (1..).zip(inputs) {
            let g = [f64::from(x[0]), f64::from(x[1]), 1.0];
            let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
            let clip = (config.gradient_clip / norm).min(1.0);
            let decay = config.average_decay.min(f64::from(1 + t) / f64::from(10 + t));
            for i in 0..3 {
                m[i] = 0.9 * m[i] + 0.1 * g[i] * clip;
                v[i] = 0.999 * v[i] + 0.001 * (g[i] * clip).powi(2);
                let (m_hat, v_hat) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                theta[i] -= rate * (m_hat / (v_hat.sqrt() + 1e-8) + config.weight_decay * theta[i]);
                average[i] = decay * average[i] + (1.0 - decay) * theta[i];
            }
        }
        [theta, average]
    }

    /// The third gradient is clipped.
    const INPUTS: [[f32; 2]; 4] = [[0.5, -1.0], [1.5, 0.2], [40.0, -30.0], [-0.3, 0.1]];

    #[test]
    fn steps_follow_the_algorithm() {
        let config = TrainingConfig {
            gradient_clip: 3.0,
            weight_decay: 0.1,
            average_decay: 0.25,
            ..TrainingConfig::default()
        };
        let mut module = layer();
        let start = weights(&parameters::collect(&module));
        let mut optimizer = Optimizer::new(&module, &Device::flex());
        for x in INPUTS {
            let gradients = gradients(&module, x);
            let (next, norm) = optimizer.step(module, gradients, 0.01, &config);
            let exact = f64::from(1.0 + x[0] * x[0] + x[1] * x[1]).sqrt();
            assert!((norm / exact - 1.0).abs() < 1e-6, "norm {norm}, exactly {exact}");
            module = next;
        }
        let [theta, average] = expected(start, &INPUTS, 0.01, &config);
        let found = [weights(&parameters::collect(&module)), weights(&optimizer.averaged(&module))];
        for (found, exact) in found.concat().iter().zip([theta, average].concat()) {
            assert!((found - exact).abs() < 1e-6, "{found}, exactly {exact}");
        }
    }

    #[test]
    fn without_average_the_last_weights_are_kept() {
        let config = TrainingConfig { average_decay: 0.0, ..TrainingConfig::default() };
        let module = layer();
        let mut optimizer = Optimizer::new(&module, &Device::flex());
        let gradients = gradients(&module, INPUTS[0]);
        let (module, _) = optimizer.step(module, gradients, 0.01, &config);
        assert_eq!(weights(&optimizer.averaged(&module)), weights(&parameters::collect(&module)));
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let module = layer();
        let before = weights(&parameters::collect(&module));
        let mut optimizer = Optimizer::new(&module, &Device::flex());
        let gradients = gradients(&module, [1.0, f32::NAN]);
        let (module, norm) = optimizer.step(module, gradients, 0.01, &TrainingConfig::default());
        assert!(!norm.is_finite());
        assert_eq!(weights(&parameters::collect(&module)), before);
        assert_eq!((weights(&optimizer.averaged(&module)), optimizer.steps), (before, 0));
    }
}

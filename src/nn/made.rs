//! Masked autoregressive network (MADE, Germain et al. 2015, arXiv:1502.03509): the outputs for feature i depend on the
//! features before i and on the condition.
//!
//! Every hidden unit has a degree d and sees features j < d; unit k of a layer has degree k mod D, D the number of
//! features, or, of a layer with W < D units, k·D/W rounded down. A weight between hidden units of degrees d → d′ is kept where d ≤ d′, one from degree d to an output of
//! feature i where d ≤ i. The others are multiplied by zero.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use super::{Mlp, MlpConfig};
use crate::kernels::{self, Activation, Blocks, MlpShape};

/// Shape of a [`Made`].
#[derive(Clone, Copy, Debug)]
pub struct MadeConfig {
    /// Number of features D.
    pub features: usize,
    /// Width of the condition.
    pub condition: usize,
    /// Outputs for every feature.
    pub parameters: usize,
    /// Units in a hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub hidden: usize,
    /// Gain of the output layer.
    pub output_gain: f32,
}

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Made {
    mlp: Mlp,
    #[module(skip)]
    features: usize,
    #[module(skip)]
    mask: Vec<f32>,
}

impl MadeConfig {
    fn shape(&self) -> MlpShape {
        MlpShape {
            inputs: self.features + self.condition,
            outputs: self.features * self.parameters,
            width: self.width,
            hidden: self.hidden,
            blocks: Blocks::Plain,
            activation: Activation::Relu,
        }
    }

    /// Draws the weights.
    pub fn init(&self, device: &Device, rng: &mut ChaCha8Rng) -> Made {
        let mlp = MlpConfig { shape: self.shape(), output_gain: self.output_gain }.init(device, rng);
        Made { mlp, features: self.features, mask: self.mask() }
    }

    /// 1 for weights that are kept and for biases, 0 for others.
    fn mask(&self) -> Vec<f32> {
        let hidden_degree = |unit: usize| match self.width < self.features {
            true => unit * self.features / self.width,
            false => unit % self.features,
        };
        let mut mask = Vec::with_capacity(self.shape().parameters());
        for (i, (inputs, outputs)) in self.shape().layers().enumerate() {
            let keeps = |to: usize, from: usize| match i {
                0 => from >= self.features || from < hidden_degree(to),
                _ if i == self.hidden => hidden_degree(from) <= to / self.parameters,
                _ => hidden_degree(from) <= hidden_degree(to),
            };
            mask.extend((0..outputs * inputs).map(|at| f32::from(keeps(at / inputs, at % inputs))));
            mask.extend(std::iter::repeat_n(1.0, outputs));
        }
        mask
    }
}

impl Made {
    fn masked(&self) -> Tensor<1> {
        let weights = self.mlp.weights();
        let mask = TensorData::new(self.mask.clone(), [self.mask.len()]);
        let mask = Tensor::from_data(mask, &weights.device());
        weights * mask
    }

    /// Parameters `[batch, features · parameters]` of all features x `[batch, features]`, feature by feature.
    pub fn forward(&self, x: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        kernels::mlp(Tensor::cat(vec![x, condition], 1), self.masked(), self.mlp.shape())
    }

    /// Features that were made one after the other: `next(parameters, i)` gives feature i `[batch, 1]` from its parameters
    /// `[batch, parameters]`, which are computed from those before.
    pub fn one_by_one(
        &self,
        rows: usize,
        condition: &Tensor<2>,
        mut next: impl FnMut(Tensor<2>, usize) -> Tensor<2>,
    ) -> Tensor<2> {
        let weights = self.masked();
        let whole = self.mlp.shape();
        let parameters = whole.outputs / self.features;
        let shape = MlpShape { outputs: parameters, ..whole };
        let output = whole.parameters() - (whole.width + 1) * whole.outputs;
        let biases = whole.parameters() - whole.outputs;
        let hidden = weights.clone().narrow(0, 0, output);
        let mut x = Tensor::zeros([rows, self.features], &condition.device());
        for i in 0..self.features {
            let size = parameters * whole.width;
            let own = [
                hidden.clone(),
                weights.clone().narrow(0, output + i * size, size),
                weights.clone().narrow(0, biases + i * parameters, parameters),
            ];
            let input = Tensor::cat(vec![x.clone(), condition.clone()], 1);
            let value = next(kernels::mlp(input, Tensor::cat(own.to_vec(), 0), shape), i);
            x = x.slice_assign([0..rows, i..i + 1], value);
        }
        x
    }
}

//! One model for each group of targets.
//!
//! Where the target has groups (layer energies, then the voxels inside the layers), its density is factorised,
//! p(y|c) = p(y₁|c)·p(y₂|y₁, c)…, and each factor is a model of its own whose condition includes the groups before it
//! (as CaloFlow, Krause & Shih 2021, arXiv:2106.05285, whose two flows are trained one after the other; here they are
//! trained side by side). The loss is the mean of the models' losses, weighted by the widths of their targets.

use burn::module::Module;
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use super::{Batch, GroupSpace, Judge, Loss, Space, Step, Surrogate};

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Grouped<M> {
    groups: Vec<M>,
    #[module(skip)]
    sizes: Vec<usize>,
}

impl<M: Surrogate> Grouped<M> {
    /// Makes the model of every group.
    pub fn init(space: &Space, mut init: impl FnMut(GroupSpace) -> M) -> Self {
        let groups = space.target_groups.iter();
        let spaces = groups.map(|g| GroupSpace { conditions: space.conditions + g.start, targets: g.len() });
        Self {
            groups: spaces.map(&mut init).collect(),
            sizes: space.target_groups.iter().map(|group| group.len()).collect(),
        }
    }

    fn targets(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Calls `each` with every group's model, target and condition.
    fn for_each(
        &self,
        target: &Tensor<2>,
        condition: &Tensor<2>,
        mut each: impl FnMut(&M, Tensor<2>, Tensor<2>),
    ) {
        let (mut start, mut known) = (0, condition.clone());
        for (model, &size) in self.groups.iter().zip(&self.sizes) {
            let own = target.clone().narrow(1, start, size);
            each(model, own.clone(), known.clone());
            known = Tensor::cat(vec![known, own], 1);
            start += size;
        }
    }
}

impl<M: Surrogate> Surrogate for Grouped<M> {
    const LOSS_LABEL: &'static str = M::LOSS_LABEL;
    const JUDGE: Judge = M::JUDGE;
    const HAS_DENSITY: bool = M::HAS_DENSITY;
    const MOMENTS: [f64; 2] = M::MOMENTS;

    fn loss(&self, batch: &Batch, step: Step, rng: &mut ChaCha8Rng) -> Loss {
        let targets = self.targets() as f64;
        let mut total: Option<Loss> = None;
        self.for_each(&batch.target, &batch.condition, |model, target, condition| {
            let share = target.dims()[1] as f64 / targets;
            let batch = Batch { target, condition, weight: batch.weight.clone() };
            let loss = model.loss(&batch, step, rng);
            total = Some(match total.take() {
                None => loss.scaled(share),
                Some(total) => total.plus(loss.scaled(share)),
            });
        });
        total.expect("a model has at least one group of targets")
    }

    fn after_step(mut self) -> Self {
        self.groups = self.groups.into_iter().map(Surrogate::after_step).collect();
        self
    }

    fn noise_width(&self) -> usize {
        self.groups.iter().map(Surrogate::noise_width).sum()
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let (mut start, mut known) = (0, condition);
        let mut targets = Vec::new();
        for model in &self.groups {
            let width = model.noise_width();
            let target = model.generate(noise.clone().narrow(1, start, width), known.clone());
            known = Tensor::cat(vec![known, target.clone()], 1);
            targets.push(target);
            start += width;
        }
        Tensor::cat(targets, 1)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        let mut parts = Vec::new();
        self.for_each(&target, &condition, |model, target, condition| {
            parts.push(model.latent(target, condition));
        });
        let parts: Option<Vec<Tensor<2>>> = parts.into_iter().collect();
        parts.map(|parts| Tensor::cat(parts, 1))
    }

    fn log_prob(&self, target: Tensor<2>, condition: Tensor<2>, rng: &mut ChaCha8Rng) -> Option<Tensor<2>> {
        let mut parts = Vec::new();
        self.for_each(&target, &condition, |model, target, condition| {
            parts.push(model.log_prob(target, condition, rng));
        });
        let parts: Option<Vec<Tensor<2>>> = parts.into_iter().collect();
        parts.map(|parts| Tensor::cat(parts, 1).sum_dim(1))
    }
}

impl Loss {
    fn scaled(mut self, factor: f64) -> Self {
        self.value = self.value * factor;
        self.figures.iter_mut().for_each(|(_, figure)| *figure = figure.clone() * factor);
        self
    }

    /// Both have the same turn and the same figures.
    fn plus(mut self, other: Self) -> Self {
        self.value = self.value + other.value;
        for ((_, sum), (_, figure)) in self.figures.iter_mut().zip(other.figures) {
            *sum = sum.clone() + figure;
        }
        self
    }
}

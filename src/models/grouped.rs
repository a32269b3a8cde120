//! One model for each group of targets.
//!
//! Where the target has groups (layer energies, then the voxels inside the layers), its density is factorised,
//! p(y|c) = p(y₁|c)·p(y₂|y₁, c)…, and each factor is a model of its own whose condition includes the groups before it
//! (as CaloFlow, Krause & Shih 2021, arXiv:2106.05285, whose two flows are trained one after the other; here they are
//! trained side by side). The loss is the mean of the models' losses, weighted by the widths of their targets.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use super::{Batch, GroupSpace, Judge, LogProb, Loss, Space, Step, Surrogate};

/// See the module documentation.
#[derive(Module, Debug)]
pub struct Grouped<M> {
    groups: Vec<M>,
    #[module(skip)]
    sizes: Vec<usize>,
}

impl<M: Surrogate> Grouped<M> {
    /// Makes the model of every group; `init` is given its number, from 0, and its widths.
    pub fn init(space: &Space, mut init: impl FnMut(usize, GroupSpace) -> M) -> Self {
        let groups = space.target_groups.iter();
        let spaces = groups.map(|group| {
            let own = space.target_categories.iter().filter(|c| group.start <= c.start && c.end <= group.end);
            GroupSpace {
                conditions: space.conditions + group.start,
                targets: group.len(),
                categories: own.map(|c| c.start - group.start..c.end - group.start).collect(),
            }
        });
        Self {
            groups: spaces.enumerate().map(|(i, space)| init(i, space)).collect(),
            sizes: space.target_groups.iter().map(|group| group.len()).collect(),
        }
    }

    /// The batch as the model of every group sees it.
    fn batches(&self, batch: &Batch) -> Vec<Batch> {
        let mut batches = Vec::new();
        self.for_each(&batch.target, &batch.condition, |_, target, condition| {
            batches.push(Batch { target, condition, ..batch.clone() });
        });
        batches
    }

    /// Targets that `make` gives one group after the other, from the group's columns of `source`, as many as `width` says.
    fn in_turn(
        &self,
        source: Tensor<2>,
        condition: Tensor<2>,
        width: fn(&M) -> usize,
        make: fn(&M, Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let (mut start, mut known) = (0, condition);
        let mut targets = Vec::new();
        for model in &self.groups {
            let width = width(model);
            let target = make(model, source.clone().narrow(1, start, width), known.clone());
            known = Tensor::cat(vec![known, target.clone()], 1);
            targets.push(target);
            start += width;
        }
        Tensor::cat(targets, 1)
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
    const FITS_LATENT: bool = M::FITS_LATENT;
    const MOMENTS: [f64; 2] = M::MOMENTS;

    fn loss(&self, batch: &Batch, step: Step, rng: &mut ChaCha8Rng) -> Loss {
        let targets = self.targets() as f64;
        let losses = self.groups.iter().zip(self.batches(batch)).map(|(model, batch)| {
            let share = batch.target.dims()[1] as f64 / targets;
            model.loss(&batch, step, rng).scaled(share)
        });
        losses.reduce(Loss::plus).expect("a model has at least one group of targets")
    }

    fn whole_batch_key(&self) -> Option<&'static str> {
        self.groups.iter().find_map(Surrogate::whole_batch_key)
    }

    fn after_step(mut self) -> Self {
        self.groups = self.groups.into_iter().map(Surrogate::after_step).collect();
        self
    }

    fn fit_latent(
        mut self,
        train: &Batch,
        held_out: &Batch,
        rng: &mut ChaCha8Rng,
    ) -> (Self, BTreeMap<String, f64>) {
        let [train, held_out] = [train, held_out].map(|batch| self.batches(batch));
        let several = self.groups.len() > 1;
        let mut figures = BTreeMap::new();
        let models = std::mem::take(&mut self.groups).into_iter().zip(train.iter().zip(&held_out));
        for (i, (model, (train, held_out))) in models.enumerate() {
            let (model, of_group) = model.fit_latent(train, held_out, rng);
            self.groups.push(model);
            let name = |name| if several { format!("{name}, group {}", i + 1) } else { name };
            figures.extend(of_group.into_iter().map(|(key, value)| (name(key), value)));
        }
        (self, figures)
    }

    fn noise_width(&self) -> usize {
        self.groups.iter().map(Surrogate::noise_width).sum()
    }

    fn generate(&self, noise: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.in_turn(noise, condition, M::noise_width, M::generate)
    }

    fn latent(&self, target: Tensor<2>, condition: Tensor<2>) -> Option<Tensor<2>> {
        let mut parts = Vec::new();
        self.for_each(&target, &condition, |model, target, condition| {
            parts.push(model.latent(target, condition));
        });
        let parts: Option<Vec<Tensor<2>>> = parts.into_iter().collect();
        parts.map(|parts| Tensor::cat(parts, 1))
    }

    fn latent_width(&self) -> usize {
        self.groups.iter().map(Surrogate::latent_width).sum()
    }

    fn is_latent_noise(&self) -> bool {
        self.groups.iter().all(Surrogate::is_latent_noise)
    }

    fn decode(&self, latent: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.in_turn(latent, condition, M::latent_width, M::decode)
    }

    fn reconstruct(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        rng: &mut ChaCha8Rng,
    ) -> Option<[Tensor<2>; 2]> {
        let mut parts = Vec::new();
        self.for_each(&target, &condition, |model, target, condition| {
            parts.push(model.reconstruct(target, condition, rng));
        });
        let parts = parts.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
        let (inputs, outputs): (Vec<_>, Vec<_>) = parts.map(<(_, _)>::from).unzip();
        Some([inputs, outputs].map(|parts| Tensor::cat(parts, 1)))
    }

    /// Of one group alone: later groups start when the earlier ones are there.
    fn trajectory(&self, noise: Tensor<2>, condition: Tensor<2>) -> Option<Vec<Tensor<2>>> {
        match &self.groups[..] {
            [model] => model.trajectory(noise, condition),
            _ => None,
        }
    }

    fn log_prob(
        &self,
        target: Tensor<2>,
        condition: Tensor<2>,
        samples: usize,
        rng: &mut ChaCha8Rng,
    ) -> Option<LogProb> {
        let mut parts = Vec::new();
        self.for_each(&target, &condition, |model, target, condition| {
            parts.push(model.log_prob(target, condition, samples, rng));
        });
        let parts: Option<Vec<LogProb>> = parts.into_iter().collect();
        parts?.into_iter().reduce(LogProb::plus)
    }
}

impl Loss {
    /// Value and figures times a factor.
    pub(crate) fn scaled(mut self, factor: f64) -> Self {
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use simile_data::random;

    use super::*;
    use crate::models::{Autoencoder, AutoencoderConfig, Flow, FlowConfig, Gan, normal_noise};

    /// What a kind says of itself holds for groups of it.
    #[test]
    fn groups_are_of_the_kind_of_their_models() {
        fn check<M: Surrogate>() {
            assert_eq!(
                (
                    Grouped::<M>::JUDGE,
                    Grouped::<M>::HAS_DENSITY,
                    Grouped::<M>::FITS_LATENT,
                    Grouped::<M>::MOMENTS
                ),
                (M::JUDGE, M::HAS_DENSITY, M::FITS_LATENT, M::MOMENTS)
            );
        }
        check::<Flow>();
        check::<Gan>();
        check::<Autoencoder>();
    }

    /// The second group is generated for what the first one gave, and the latent densities of both are fitted.
    #[test]
    fn every_group_knows_those_before() {
        let (device, mut rng) = (Device::flex(), random::stream(1, "test/grouped", 0));
        let space = Space {
            conditions: 2,
            target_groups: vec![0..1, 1..4],
            target_categories: std::iter::once(2..4).collect(),
        };
        let mut seen = Vec::new();
        let config = AutoencoderConfig { latents: 2, components: 2, ..AutoencoderConfig::default() };
        let model = Grouped::init(&space, |_, group| {
            seen.push(group.clone());
            config.init(group, &device, &mut rng)
        });
        let expected = [
            GroupSpace { conditions: 2, targets: 1, categories: Vec::new() },
            GroupSpace { conditions: 3, targets: 3, categories: std::iter::once(1..3).collect() },
        ];
        assert_eq!(seen, expected);
        let mut normal = |rows: usize, columns: usize| normal_noise(rows, columns, &device, &mut rng);
        let batch = Batch::new(normal(500, 4), normal(500, 2));
        let (model, figures) = model.fit_latent(&batch, &batch, &mut random::stream(2, "test/grouped", 0));
        assert!(figures.contains_key("reconstruction error, group 2"), "{figures:?}");
        assert_eq!(model.generate(normal(500, model.noise_width()), batch.condition).dims(), [500, 4]);
    }

    #[test]
    fn the_density_of_groups_is_the_product_of_theirs() {
        let (device, mut rng) = (Device::flex(), random::stream(3, "test/grouped", 0));
        let space = Space { conditions: 1, target_groups: vec![0..2, 2..4], target_categories: Vec::new() };
        let config = FlowConfig { couplings: 2, width: 8, ..FlowConfig::default() };
        let model = Grouped::init(&space, |_, group| config.init(group, &device, &mut rng));
        let (target, condition) =
            (normal_noise(20, 4, &device, &mut rng), normal_noise(20, 1, &device, &mut rng));
        let whole =
            Surrogate::log_prob(&model, target.clone(), condition.clone(), 1, &mut rng).unwrap().value;
        let known = Tensor::cat(vec![condition.clone(), target.clone().narrow(1, 0, 2)], 1);
        let parts = model.groups[0].log_prob(target.clone().narrow(1, 0, 2), condition)
            + model.groups[1].log_prob(target.narrow(1, 2, 2), known);
        assert!((whole - parts).abs().max().into_scalar::<f32>() < 1e-5);
    }
}

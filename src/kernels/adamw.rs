//! AdamW (Loshchilov & Hutter 2019) and the exponential moving average of the weights in one pass over memory.
//!
//! With gradient g scaled by `gradient_scale`, m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
//! θ ← θ − η(m̂/(√v̂ + ε) + λθ), θ̄ ← dθ̄ + (1−d)θ, where m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ).

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{contiguous, values};
use super::simd::vectorised;

/// Elements that one task updates.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// The numbers of one AdamW step t that are common to all parameters.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// η
    pub learning_rate: f32,
    /// β₁
    pub beta_1: f32,
    /// β₂
    pub beta_2: f32,
    /// ε
    pub epsilon: f32,
    /// λ, decoupled from the gradient
    pub weight_decay: f32,
    /// 1 − β₁ᵗ
    pub correction_1: f32,
    /// 1 − β₂ᵗ
    pub correction_2: f32,
    /// Factor from clipping the global gradient norm
    pub gradient_scale: f32,
    /// d
    pub average_decay: f32,
}

impl AdamWStep {
    /// New (θ, m, v, θ̄) of one element.
    #[inline(always)]
    fn update(&self, [theta, m, v, average]: [f32; 4], grad: f32) -> [f32; 4] {
        let g = grad * self.gradient_scale;
        let m = self.beta_1 * m + (1.0 - self.beta_1) * g;
        let v = self.beta_2 * v + (1.0 - self.beta_2) * g * g;
        let step = (m / self.correction_1) / ((v / self.correction_2).sqrt() + self.epsilon);
        let theta = theta - self.learning_rate * (step + self.weight_decay * theta);
        [theta, m, v, self.average_decay * average + (1.0 - self.average_decay) * theta]
    }
}

pub(super) fn step(
    state: [FlexTensor; 4],
    grad: FlexTensor,
    step: AdamWStep,
) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
    let [mut parameter, mut first, mut second, mut average] = state.map(contiguous);
    let grad = contiguous(grad);
    let length = values(&grad).len();
    // In place unless somebody else holds the tensor, in which case Burn copies on write.
    let slices = [&mut parameter, &mut first, &mut second, &mut average].map(|t| {
        let offset = t.layout().start_offset();
        &mut t.storage_mut::<f32>()[offset..offset + length]
    });
    let [p, m, v, a] = slices.map(|s| s.par_chunks_mut(ELEMENTS_PER_TASK));
    p.zip(m).zip(v).zip(a).zip(values(&grad).par_chunks(ELEMENTS_PER_TASK)).for_each(
        |((((p, m), v), a), g)| {
            vectorised(
                #[inline(always)]
                || {
                    for ((((p, m), v), a), &g) in p.iter_mut().zip(m).zip(v).zip(a).zip(g) {
                        [*p, *m, *v, *a] = step.update([*p, *m, *v, *a], g);
                    }
                },
            );
        },
    );
    (parameter, first, second, average)
}

//! Convolution of images and its transpose, forward and backward.
//!
//! A convolution goes from a *large* image `[C, H, W]` to a *small* one `[c, h, w]`; the transposed one goes back. With P
//! the matrix of patches `[C·k·k, h·w]`, P_(C,ky,kx),(y,x) = large_(C, y·s + ky − p, x·s + kx − p) (zero outside), s the
//! stride and p the padding, and W the weights `[c, C·k·k]`:
//!
//! - convolution: small = W·P(large) + b; its gradients ∂L/∂large = Pᵀ(Wᵀ·g) and ∂L/∂W = g·P(large)ᵀ,
//! - transposed: large = Pᵀ(Wᵀ·small) + b; its gradients ∂L/∂small = W·P(g) and ∂L/∂W = small·P(g)ᵀ,
//!
//! where Pᵀ adds every entry of a matrix of patches to the pixel it would have come from. Patches are made for a few rows
//! of the small image at a time and stay in the second-level cache.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::block::{Pieces, add_sums, product, with_scratch};
use super::flex::{contiguous, from_flat, from_vec, values};

/// Shape of a convolution or its transpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvolutionShape {
    /// Channels, height and width of the image that a convolution starts from.
    pub large: [usize; 3],
    /// Those of the image that it makes.
    pub small: [usize; 3],
    /// Height and width of a patch.
    pub kernel: usize,
    /// Distance of patches.
    pub stride: usize,
    /// Zeros around the large image.
    pub padding: usize,
    /// From the small image to the large one.
    pub transposed: bool,
}

/// Positions of the small image whose patches are made at a time, roughly.
const POSITIONS: usize = 256;
/// Images whose weights' gradients one task adds up.
const IMAGES_PER_TASK: usize = 8;

impl ConvolutionShape {
    /// Pixels times channels of the input and of the output.
    fn lengths(&self) -> [usize; 2] {
        let [large, small] = [self.large, self.small].map(|image| image.iter().product());
        if self.transposed { [small, large] } else { [large, small] }
    }

    fn patch(&self) -> usize {
        self.large[0] * self.kernel * self.kernel
    }

    fn positions(&self) -> usize {
        self.small[1] * self.small[2]
    }

    /// Number of output channels.
    fn outputs(&self) -> usize {
        if self.transposed { self.large[0] } else { self.small[0] }
    }

    fn weights(&self) -> usize {
        self.small[0] * self.patch()
    }

    /// Rows of the small image that are worked on together.
    fn strips(&self) -> impl Iterator<Item = Range<usize>> {
        let [_, height, width] = self.small;
        let step = (POSITIONS / width.max(1)).max(1);
        (0..height).step_by(step).map(move |row| row..height.min(row + step))
    }

    fn strip_length(&self, strip: &Range<usize>) -> usize {
        strip.len() * self.small[2]
    }

    fn patches_length(&self) -> usize {
        self.patch() * self.strips().map(|strip| self.strip_length(&strip)).max().unwrap_or(0)
    }

    /// Calls `visit` for every run of a row of patches and the pixels that belong to it: (place in the patches, place of
    /// the first pixel, number). What is not visited lies in the padding.
    fn for_each_run(&self, strip: &Range<usize>, mut visit: impl FnMut(usize, usize, usize)) {
        let [channels, height, width] = self.large;
        let (k, s, p) = (self.kernel, self.stride, self.padding);
        let (columns, length) = (self.small[2], self.strip_length(strip));
        for row in 0..channels * k * k {
            let (channel, ky, kx) = (row / (k * k), row / k % k, row % k);
            // Columns x with 0 <= x·s + kx − p < width.
            let first = p.saturating_sub(kx).div_ceil(s);
            let end = (width + p).saturating_sub(kx).div_ceil(s).min(columns);
            for (i, y) in strip.clone().enumerate() {
                let Some(pixel_row) = (y * s + ky).checked_sub(p).filter(|&y| y < height) else { continue };
                if first < end {
                    let pixel = (channel * height + pixel_row) * width + first * s + kx - p;
                    visit(row * length + i * columns + first, pixel, end - first);
                }
            }
        }
    }

    /// P of a strip.
    fn gather(&self, patches: &mut [f32], large: &[f32], strip: &Range<usize>) {
        patches.fill(0.0);
        self.for_each_run(strip, |to, from, number| {
            let to = &mut patches[to..to + number];
            if self.stride == 1 {
                to.copy_from_slice(&large[from..from + number]);
            } else {
                let from = large[from..].iter().step_by(self.stride);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Adds Pᵀ of a strip.
    fn scatter(&self, large: &mut [f32], patches: &[f32], strip: &Range<usize>) {
        self.for_each_run(strip, |from, to, number| {
            let from = &patches[from..from + number];
            if self.stride == 1 {
                large[to..to + number].iter_mut().zip(from).for_each(|(to, from)| *to += from);
            } else {
                let to = large[to..].iter_mut().step_by(self.stride);
                to.zip(from).for_each(|(to, from)| *to += from);
            }
        });
    }

    /// Calls `visit` for every strip with its rows, memory for its patches, their number and the place of its first
    /// position in the small image.
    fn for_each_strip(&self, mut visit: impl FnMut(&Range<usize>, &mut [f32], usize, usize)) {
        with_scratch(self.patches_length(), |patches| {
            for strip in self.strips() {
                let length = self.strip_length(&strip);
                visit(&strip, &mut patches[..self.patch() * length], length, strip.start * self.small[2]);
            }
        });
    }

    /// Adds W·P(large) to the small image.
    fn contract(&self, weights: &[f32], large: &[f32], small: &mut [f32]) {
        let (patch, positions) = (self.patch(), self.positions());
        self.for_each_strip(|strip, patches, length, start| {
            self.gather(patches, large, strip);
            product(
                [length, self.small[0], patch],
                (&mut small[start..], [1, positions]),
                (patches, [1, length]),
                (weights, [1, patch]),
                true,
            );
        });
    }

    /// Adds Pᵀ(Wᵀ·small) to the large image.
    fn expand(&self, weights: &[f32], small: &[f32], large: &mut [f32]) {
        let (patch, positions) = (self.patch(), self.positions());
        self.for_each_strip(|strip, patches, length, start| {
            product(
                [length, patch, self.small[0]],
                (&mut *patches, [1, length]),
                (&small[start..], [1, positions]),
                (weights, [patch, 1]),
                false,
            );
            self.scatter(large, patches, strip);
        });
    }

    /// Adds small·P(large)ᵀ to the gradient of the weights.
    fn add_weight_gradient(&self, gradient: &mut [f32], small: &[f32], large: &[f32]) {
        let (patch, positions) = (self.patch(), self.positions());
        self.for_each_strip(|strip, patches, length, start| {
            self.gather(patches, large, strip);
            product(
                [patch, self.small[0], length],
                (&mut *gradient, [1, patch]),
                (patches, [length, 1]),
                (&small[start..], [1, positions]),
                true,
            );
        });
    }

    fn check(&self, x: &FlexTensor, weight: &FlexTensor) -> usize {
        let reach = |i: usize| (self.small[i] - 1) * self.stride + self.kernel;
        for i in [1, 2] {
            assert!(reach(i) <= self.large[i] + 2 * self.padding, "patches lie inside the padded image");
        }
        assert_eq!(values(weight).len(), self.weights(), "number of weights of a convolution");
        let found: Vec<usize> = x.layout().shape().to_vec();
        assert_eq!(found, self.input_shape(found[0]), "images of a convolution");
        found[0]
    }

    fn output_shape(&self, images: usize) -> [usize; 4] {
        let [channels, height, width] = if self.transposed { self.large } else { self.small };
        [images, channels, height, width]
    }

    fn input_shape(&self, images: usize) -> [usize; 4] {
        Self { transposed: !self.transposed, ..*self }.output_shape(images)
    }
}

/// Applies the convolution or its transpose to x `[batch, channels, height, width]`.
pub(super) fn forward(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    shape: ConvolutionShape,
) -> FlexTensor {
    let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
    let images = shape.check(&x, &weight);
    assert_eq!(values(&bias).len(), shape.outputs(), "number of biases of a convolution");
    let [inputs, outputs] = shape.lengths();
    let mut y = vec![0.0; images * outputs];
    y.par_chunks_mut(outputs).zip(values(&x).par_chunks(inputs)).for_each(|(y, x)| {
        let pixels = outputs / shape.outputs();
        y.chunks_exact_mut(pixels).zip(values(&bias)).for_each(|(y, &bias)| y.fill(bias));
        if shape.transposed {
            shape.expand(values(&weight), x, y);
        } else {
            shape.contract(values(&weight), x, y);
        }
    });
    from_vec(y, shape.output_shape(images))
}

/// Gradients with respect to x, if asked, weights and biases.
pub(super) fn backward(
    grad: FlexTensor,
    x: FlexTensor,
    weight: FlexTensor,
    shape: ConvolutionShape,
    needs_x: bool,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (grad, x, weight) = (contiguous(grad), contiguous(x), contiguous(weight));
    let images = shape.check(&x, &weight);
    let [inputs, outputs] = shape.lengths();
    let mut grad_x = vec![0.0; if needs_x { images * inputs } else { 0 }];
    grad_x.par_chunks_mut(inputs).zip(values(&grad).par_chunks(outputs)).for_each(|(grad_x, grad)| {
        if shape.transposed {
            shape.contract(values(&weight), grad, grad_x);
        } else {
            shape.expand(values(&weight), grad, grad_x);
        }
    });
    let tasks = values(&grad).par_chunks(outputs * IMAGES_PER_TASK);
    let tasks = tasks.zip(values(&x).par_chunks(inputs * IMAGES_PER_TASK)).map(|(grad, x)| {
        let mut gradients = vec![0.0; shape.weights() + shape.outputs()];
        let mut pieces = Pieces(&mut gradients);
        let (weights, biases) = (pieces.take(shape.weights()), pieces.0);
        for (grad, x) in grad.chunks_exact(outputs).zip(x.chunks_exact(inputs)) {
            let (small, large) = if shape.transposed { (x, grad) } else { (grad, x) };
            shape.add_weight_gradient(weights, small, large);
            let pixels = outputs / shape.outputs();
            add_sums(biases, grad, pixels, pixels);
        }
        gradients
    });
    // Added in the order of the images: independent of which thread finished first.
    let parts: Vec<Vec<f32>> = tasks.collect();
    let mut total = vec![0.0; shape.weights() + shape.outputs()];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    let biases = total.split_off(shape.weights());
    let kernel = [shape.small[0], shape.large[0], shape.kernel, shape.kernel];
    let x_shape = shape.input_shape(if needs_x { images } else { 0 });
    (from_vec(grad_x, x_shape), from_vec(total, kernel), from_flat(biases))
}

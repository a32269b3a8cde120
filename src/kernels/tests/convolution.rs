use simile_data::random;

use super::super::{ConvolutionShape, convolution};
use super::*;

/// Large and small image, kernel, stride, padding: odd sizes, one pixel, patches that do not reach the edge.
const SHAPES: [([usize; 3], [usize; 3], [usize; 3]); 7] = [
    ([1, 1, 1], [1, 1, 1], [1, 1, 0]),
    ([2, 5, 7], [3, 5, 7], [3, 1, 1]),
    ([3, 6, 5], [2, 4, 3], [3, 1, 0]),
    ([2, 8, 8], [3, 4, 4], [4, 2, 1]),
    ([1, 9, 6], [2, 5, 3], [3, 2, 1]),
    ([2, 7, 4], [1, 3, 1], [3, 2, 0]),
    // More than one strip of positions.
    ([2, 40, 23], [3, 40, 23], [3, 1, 1]),
];

fn shapes() -> impl Iterator<Item = ConvolutionShape> {
    SHAPES.into_iter().flat_map(|(large, small, [kernel, stride, padding])| {
        [false, true].map(|transposed| ConvolutionShape { large, small, kernel, stride, padding, transposed })
    })
}

/// Images, weights and biases as matrices.
fn inputs(images: usize, shape: ConvolutionShape, layout: Layout, rng: &mut ChaCha8Rng) -> [Input; 4] {
    let [large, small] = [shape.large, shape.small].map(|image| image.iter().product::<usize>());
    let [(from, _), (to, channels)] = match shape.transposed {
        false => [(large, shape.large[0]), (small, shape.small[0])],
        true => [(small, shape.small[0]), (large, shape.large[0])],
    };
    let weights = [shape.small[0], shape.large[0] * shape.kernel * shape.kernel];
    [
        Input::normal([images, from], 1.0, layout, rng),
        Input::normal(weights, 0.3, layout, rng),
        Input::normal([1, channels], 1.0, layout, rng),
        Input::normal([images, to], 1.0, Layout::Ordered, rng),
    ]
}

fn apply(shape: ConvolutionShape) -> impl Fn(&[Tensor<2>]) -> Tensor<2> + Sync {
    move |t| {
        let images = t[0].dims()[0];
        let [channels, height, width] = if shape.transposed { shape.small } else { shape.large };
        let x = t[0].clone().reshape([images, channels, height, width]);
        let kernel = [shape.small[0], shape.large[0], shape.kernel, shape.kernel];
        let bias = t[2].clone().squeeze_dim::<1>(0);
        let y = convolution(x, t[1].clone().reshape(kernel), bias, shape);
        y.reshape([images as i64, -1])
    }
}

#[test]
fn convolutions_agree_with_the_reference_and_finite_differences() {
    let mut rng = random::stream(1, "test/convolution", 0);
    for shape in shapes() {
        for (images, layout) in [(1, Layout::Ordered), (9, Layout::Window)] {
            let [x, weights, bias, upstream] = inputs(images, shape, layout, &mut rng);
            let name = format!("{images} images, {shape:?}");
            check(&name, &apply(shape), &[x, weights, bias], &upstream, 3e-5, &mut rng);
        }
    }
}

#[test]
fn convolutions_do_not_depend_on_threads() {
    let mut rng = random::stream(2, "test/convolution", 0);
    for shape in shapes() {
        let [x, weights, bias, upstream] = inputs(40, shape, Layout::Ordered, &mut rng);
        let inputs = [x, weights, bias];
        assert_same_on_any_threads(&format!("{shape:?}"), || {
            evaluate(&apply(shape), &inputs, &upstream, DType::F32)
        });
    }
}

//! Cylindrical calorimeter segmentation, as in the CaloChallenge (arXiv:2410.21611).
//!
//! A calorimeter is a stack of layers along the shower axis; a layer is a disc cut into `n_alpha` equal
//! sectors and the rings between `r_edges_mm`. Voxels are numbered with r fastest, then α, then layer: `index
//! = first_of_layer + alpha_bin · n_r + r_bin`.
//!
//! Unless `alpha_begin` says where sector 0 begins, sector k is **centred on α = 2πk/n_alpha**, so sector 0 spans
//! [−π/n_alpha, π/n_alpha]. Other tools let sector 0 begin at α = 0, the CaloChallenge's at α = −π. They differ by
//! a rotation of the transverse axes, which changes neither energies nor radii, and applies alike to any two
//! samples compared under one geometry.

use std::f64::consts::TAU;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// More voxels than any calorimeter image in use; a larger number in a file is damage, not a detector.
const MAX_VOXELS: usize = 10_000_000;

/// Readout layers of a calorimeter, in order of depth. Deserialisation checks as [`Geometry::new`] does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Geometry {
    /// Layers in the order of the voxels.
    pub layers: Vec<Layer>,
}

/// One readout layer: rings × sectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Ring edges in mm, increasing, one more than there are rings. Empty for a layer without readout.
    pub r_edges_mm: Vec<f64>,
    /// Number of equal sectors in α.
    pub n_alpha: usize,
    /// Angle in rad at which sector 0 begins; without it, sector 0 is centred on α = 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha_begin: Option<f64>,
    /// Depth of the front and back face in radiation lengths, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x0: Option<[f64; 2]>,
}

/// Why a geometry cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// The text is not the JSON of a geometry.
    #[error(
        "the geometry is not valid JSON of the form \
         {{\"layers\":[{{\"r_edges_mm\":[0,5,10],\"n_alpha\":8,\"x0\":[0,1.2]}}, …]}}: {0}"
    )]
    Json(#[from] serde_json::Error),
    /// No layer has a voxel.
    #[error("the geometry has {layers} layers and no voxel; give at least one layer two `r_edges_mm`")]
    NoVoxels {
        /// Number of layers.
        layers: usize,
    },
    /// A single edge bounds nothing.
    #[error("layer {layer}: `r_edges_mm` has one edge, {edge}; give two or more, or none for an empty layer")]
    SingleEdge {
        /// Index of the layer.
        layer: usize,
        /// The lone edge in mm.
        edge: f64,
    },
    /// Ring edges must be finite, not negative and strictly increasing.
    #[error(
        "layer {layer}: `r_edges_mm`[{index}] = {edge} is not a finite length above the edge before it; \
         list radii in increasing order from 0 or more"
    )]
    Edge {
        /// Index of the layer.
        layer: usize,
        /// Index of the edge.
        index: usize,
        /// The offending edge in mm.
        edge: f64,
    },
    /// A layer with rings needs a sector.
    #[error("layer {layer}: `n_alpha` is 0; use 1 for a layer without angular segmentation")]
    NoSector {
        /// Index of the layer.
        layer: usize,
    },
    /// Sector 0 must begin somewhere.
    #[error(
        "layer {layer}: `alpha_begin` = {alpha} is not an angle in rad; leave it out to centre sector 0 on α = 0"
    )]
    AlphaBegin {
        /// Index of the layer.
        layer: usize,
        /// The offending angle.
        alpha: f64,
    },
    /// The back face must lie behind the front face.
    #[error(
        "layer {layer}: `x0` = [{}, {}] must be increasing depths in radiation lengths; leave it out if unknown",
        x0[0], x0[1]
    )]
    Depth {
        /// Index of the layer.
        layer: usize,
        /// The offending pair.
        x0: [f64; 2],
    },
    /// The segmentation is too fine to be real.
    #[error(
        "layer {layer}: the geometry reaches more than {MAX_VOXELS} voxels; check `n_alpha` and `r_edges_mm`"
    )]
    TooManyVoxels {
        /// Index of the layer with which the limit is passed.
        layer: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    layers: Vec<Layer>,
}

impl TryFrom<Unchecked> for Geometry {
    type Error = GeometryError;

    fn try_from(unchecked: Unchecked) -> Result<Self, GeometryError> {
        Self::new(unchecked.layers)
    }
}

impl Geometry {
    /// Key of the Parquet schema metadata under which the JSON of a geometry travels.
    pub const METADATA_KEY: &str = "simile.geometry";

    /// A checked geometry.
    ///
    /// # Errors
    /// Any of [`GeometryError`] but `Json`, naming the layer.
    pub fn new(layers: Vec<Layer>) -> Result<Self, GeometryError> {
        let geometry = Self { layers };
        geometry.validate()?;
        Ok(geometry)
    }

    /// Reads the JSON kept under [`METADATA_KEY`](Self::METADATA_KEY).
    ///
    /// # Errors
    /// [`GeometryError::Json`] for text of another form, otherwise as [`Geometry::new`].
    pub fn from_json(json: &str) -> Result<Self, GeometryError> {
        let unchecked: Unchecked = serde_json::from_str(json)?;
        unchecked.try_into()
    }

    /// JSON for [`METADATA_KEY`](Self::METADATA_KEY).
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and lists always have a JSON form")
    }

    /// Checks edges, depths and sizes; needed only after changing [`layers`](Self::layers) by hand.
    ///
    /// # Errors
    /// The first fault found, naming the layer.
    pub fn validate(&self) -> Result<(), GeometryError> {
        let mut n_voxels = 0usize;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.validate(index)?;
            n_voxels = layer
                .n_r()
                .checked_mul(layer.n_alpha)
                .and_then(|n| n_voxels.checked_add(n))
                .filter(|&n| n <= MAX_VOXELS)
                .ok_or(GeometryError::TooManyVoxels { layer: index })?;
        }
        if n_voxels == 0 {
            return Err(GeometryError::NoVoxels { layers: self.layers.len() });
        }
        Ok(())
    }

    /// Number of layers, empty ones included.
    #[must_use]
    pub fn n_layers(&self) -> usize {
        self.layers.len()
    }

    /// Number of voxels of all layers: the width of a voxel column.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.layers.iter().map(Layer::n_voxels).sum()
    }

    /// Voxel indices of layer `layer`; empty for an empty layer.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn layer_voxels(&self, layer: usize) -> Range<usize> {
        let start = self.layers[..layer].iter().map(Layer::n_voxels).sum();
        start..start + self.layers[layer].n_voxels()
    }

    /// Where a mirror through the beam axis lays sector 0 of every layer; sector k goes to this one − k, modulo `n_alpha`.
    /// The mirror is α → −α if that lays sectors on sectors in all layers, else another that does, to a hundredth of a
    /// sector; `None` if there is none.
    #[must_use]
    pub fn mirrored_first_sectors(&self) -> Option<Vec<usize>> {
        let divided = |layer: &&Layer| layer.n_voxels() > 0 && layer.n_alpha > 1;
        let coarsest = self.layers.iter().filter(divided).min_by_key(|layer| layer.n_alpha);
        let own = coarsest.into_iter().flat_map(|layer| {
            let first = 2.0 * layer.first_alpha();
            (0..layer.n_alpha).map(move |k| first + TAU * k as f64 / layer.n_alpha as f64)
        });
        let mut sums_of_angles = std::iter::once(0.0).chain(own);
        sums_of_angles.find_map(|sum| self.layers.iter().map(|layer| layer.mirrored_first(sum)).collect())
    }
}

impl Layer {
    /// Number of rings.
    #[must_use]
    pub fn n_r(&self) -> usize {
        self.r_edges_mm.len().saturating_sub(1)
    }

    /// Number of voxels: rings × sectors.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.n_r() * self.n_alpha
    }

    /// Depth of the middle of the layer in radiation lengths, if known.
    #[must_use]
    pub fn mid_depth_x0(&self) -> Option<f64> {
        self.x0.map(|[front, back]| 0.5 * (front + back))
    }

    /// Radii in mm halfway between the edges of each ring.
    pub fn r_centres_mm(&self) -> impl Iterator<Item = f64> + '_ {
        self.r_edges_mm.windows(2).map(|edges| 0.5 * (edges[0] + edges[1]))
    }

    /// Angles in rad of the middle of each sector (see the module's convention).
    pub fn alpha_centres(&self) -> impl Iterator<Item = f64> + '_ {
        let first = self.first_alpha();
        (0..self.n_alpha).map(move |k| first + TAU * k as f64 / self.n_alpha as f64)
    }

    /// Angle in rad of the middle of sector 0.
    fn first_alpha(&self) -> f64 {
        self.alpha_begin.map_or(0.0, |begin| begin + 0.5 * TAU / self.n_alpha as f64)
    }

    /// The sector on which α → `sum` − α lays sector 0, unless that lies between sectors.
    fn mirrored_first(&self, sum: f64) -> Option<usize> {
        if self.n_voxels() == 0 || self.n_alpha == 1 {
            return Some(0);
        }
        let sectors = self.n_alpha as f64;
        let place = (sum - 2.0 * self.first_alpha()) / TAU * sectors;
        ((place - place.round()).abs() < 0.01).then(|| place.round().rem_euclid(sectors) as usize)
    }

    /// `(r in mm, α in rad)` of the middle of each voxel, in voxel order.
    pub fn voxel_centres(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.alpha_centres().flat_map(|alpha| self.r_centres_mm().map(move |r| (r, alpha)))
    }

    fn validate(&self, layer: usize) -> Result<(), GeometryError> {
        if self.r_edges_mm.is_empty() {
            return Ok(());
        }
        if let [edge] = self.r_edges_mm[..] {
            return Err(GeometryError::SingleEdge { layer, edge });
        }
        let mut previous = f64::NEG_INFINITY;
        for (index, &edge) in self.r_edges_mm.iter().enumerate() {
            if !edge.is_finite() || edge < 0.0 || edge <= previous {
                return Err(GeometryError::Edge { layer, index, edge });
            }
            previous = edge;
        }
        if self.n_alpha == 0 {
            return Err(GeometryError::NoSector { layer });
        }
        if let Some(alpha) = self.alpha_begin.filter(|alpha| !alpha.is_finite()) {
            return Err(GeometryError::AlphaBegin { layer, alpha });
        }
        let ordered = |[front, back]: [f64; 2]| front.is_finite() && back.is_finite() && front < back;
        match self.x0 {
            Some(x0) if !ordered(x0) => Err(GeometryError::Depth { layer, x0 }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    const JSON: &str = r#"{"layers":[
        {"r_edges_mm":[0.0,5.0,20.0],"n_alpha":1,"x0":[0.0,1.5]},
        {"r_edges_mm":[],"n_alpha":1,"x0":[1.5,2.0]},
        {"r_edges_mm":[0.0,10.0,20.0,40.0],"n_alpha":4,"x0":[2.0,9.0]}]}"#;

    fn layer(r_edges_mm: &[f64], n_alpha: usize, x0: [f64; 2]) -> Layer {
        Layer { r_edges_mm: r_edges_mm.to_vec(), n_alpha, alpha_begin: None, x0: Some(x0) }
    }

    fn fault(r_edges_mm: &[f64], n_alpha: usize, x0: [f64; 2]) -> String {
        let layers = vec![layer(&[0.0, 1.0], 1, [0.0, 1.0]), layer(r_edges_mm, n_alpha, x0)];
        Geometry::new(layers).unwrap_err().to_string()
    }

    #[test]
    fn a_mirror_lays_sectors_on_sectors_in_all_layers() {
        let with = |sectors: [(usize, Option<f64>); 2]| {
            let layers = sectors.map(|(n_alpha, alpha_begin)| Layer {
                alpha_begin,
                ..layer(&[0.0, 1.0], n_alpha, [0.0, 1.0])
            });
            Geometry::new(layers.to_vec()).unwrap().mirrored_first_sectors()
        };
        assert_eq!(with([(4, None), (6, None)]), Some(vec![0, 0]));
        assert_eq!(with([(4, Some(-PI)), (6, Some(-PI))]), Some(vec![3, 5]));
        assert_eq!(with([(4, Some(0.5)), (8, Some(0.5))]), Some(vec![0, 1]));
        assert_eq!(with([(4, Some(0.5)), (1, Some(0.2))]), Some(vec![0, 0]));
        // Sectors of one layer centred on edges of the other, and turned by a third of one.
        assert_eq!(with([(4, Some(0.0)), (4, None)]), Some(vec![3, 0]));
        assert_eq!(with([(4, Some(0.0)), (4, Some(TAU / 12.0))]), None);
    }

    #[test]
    fn voxels_are_numbered_by_r_then_alpha_then_layer() {
        let geometry = Geometry::from_json(JSON).unwrap();
        assert_eq!(geometry.n_layers(), 3);
        assert_eq!(geometry.n_voxels(), 2 + 12);
        assert_eq!(geometry.layer_voxels(0), 0..2);
        assert_eq!(geometry.layer_voxels(1), 2..2);
        assert_eq!(geometry.layer_voxels(2), 2..14);
        let centres: Vec<_> = geometry.layers[2].voxel_centres().collect();
        let quarter = std::f64::consts::FRAC_PI_2;
        assert_eq!(centres[..4], [(5.0, 0.0), (15.0, 0.0), (30.0, 0.0), (5.0, quarter)]);
        assert_eq!(centres.len(), 12);
        assert_eq!(geometry.layers[2].mid_depth_x0(), Some(5.5));
    }

    #[test]
    fn sectors_begin_where_the_layer_says() {
        let mut layer = layer(&[0.0, 1.0], 4, [0.0, 1.0]);
        layer.alpha_begin = Some(-std::f64::consts::PI);
        let eighths = [-3.0, -1.0, 1.0, 3.0].map(|k| k * std::f64::consts::FRAC_PI_4);
        assert!(layer.alpha_centres().zip(eighths).all(|(a, b)| (a - b).abs() < 1e-15));
        layer.alpha_begin = Some(f64::NAN);
        let fault = Geometry::new(vec![layer]).unwrap_err().to_string();
        assert!(fault.contains("layer 0: `alpha_begin` = NaN"), "{fault}");
    }

    #[test]
    fn json_round_trips() {
        let geometry = Geometry::from_json(JSON).unwrap();
        assert_eq!(Geometry::from_json(&geometry.to_json()).unwrap(), geometry);
        assert_eq!(serde_json::from_str::<Geometry>(JSON).unwrap(), geometry);
        let unknown_depth = JSON.replace(r#","x0":[0.0,1.5]"#, r#","alpha_begin":-3.141592653589793"#);
        let geometry = Geometry::from_json(&unknown_depth).unwrap();
        assert_eq!(
            (geometry.layers[0].alpha_begin, geometry.layers[0].x0),
            (Some(-std::f64::consts::PI), None)
        );
        assert_eq!(Geometry::from_json(&geometry.to_json()).unwrap(), geometry);
        assert!(!geometry.to_json().contains("null"));
    }

    #[test]
    fn faults_name_the_layer_and_the_value() {
        let x0 = [1.0, 2.0];
        assert!(fault(&[0.0, 5.0, 5.0], 1, x0).contains("layer 1: `r_edges_mm`[2] = 5"));
        assert!(fault(&[-1.0, 5.0], 1, x0).contains("`r_edges_mm`[0] = -1"));
        assert!(fault(&[0.0, f64::NAN], 1, x0).contains("`r_edges_mm`[1] = NaN"));
        assert!(fault(&[7.0], 1, x0).contains("one edge, 7"));
        assert!(fault(&[0.0, 5.0], 0, x0).contains("`n_alpha` is 0"));
        assert!(fault(&[0.0, 5.0], 1, [2.0, 2.0]).contains("[2, 2]"));
        assert!(fault(&[0.0, 5.0], 1, [0.0, f64::INFINITY]).contains("inf"));
        assert!(fault(&[0.0, 5.0], MAX_VOXELS, x0).contains("layer 1: the geometry reaches"));
        assert!(fault(&[0.0, 5.0, 6.0], usize::MAX, x0).contains("layer 1: the geometry reaches"));
        let empty = Geometry::new(vec![layer(&[], 0, [0.0, 0.0])]).unwrap_err();
        assert!(matches!(empty, GeometryError::NoVoxels { layers: 1 }));
    }

    #[test]
    fn unknown_or_broken_json_is_refused() {
        for json in ["", "{}", r#"{"layers":[],"r":1}"#, &JSON.replace("n_alpha", "alpha"), &JSON[..60]] {
            assert!(matches!(Geometry::from_json(json), Err(GeometryError::Json(_))), "{json}");
        }
        let unordered = JSON.replace("[0.0,5.0,20.0]", "[5.0,0.0,20.0]");
        assert!(matches!(
            Geometry::from_json(&unordered),
            Err(GeometryError::Edge { layer: 0, index: 1, .. })
        ));
        assert!(serde_json::from_str::<Geometry>(&unordered).unwrap_err().to_string().contains("layer 0"));
    }
}

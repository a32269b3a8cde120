//! Quantities of objects that no SQL expression gives: coordinates of momenta, distances to other objects.

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use simile_physics::FourVector;
use simile_physics::four_vector::delta_r;

use super::{Collection, ObjectsConfig};
use crate::{Block, DataError};

/// ΔR of an object that is alone.
const ALONE: f64 = 10.0;

/// Columns computed from others.
#[derive(Clone, Debug)]
pub(super) enum Derived {
    /// `pt`, `eta`, `phi` and `mass` of `NAME_` from the members p_x, p_y, p_z, E.
    Coordinates { collection: String, cartesian: [String; 4], missing: Vec<&'static str> },
    /// ΔR of the objects of `of` to the nearest other one of `to`.
    Nearest { name: String, of: Collection, to: Collection },
}

const COORDINATES: [&str; 4] = ["pt", "eta", "phi", "mass"];

impl Derived {
    /// What the configuration asks for, coordinates first, since distances may use them.
    pub(super) fn all(
        schema: &Schema,
        config: &ObjectsConfig,
        collection: &Collection,
        place: &str,
    ) -> Result<Vec<Self>, DataError> {
        let mut derived = Vec::new();
        if let Some(members) = &config.cartesian {
            let cartesian = members.clone().map(|member| format!("{}_{member}", collection.name()));
            if let Some(unknown) = cartesian.iter().find(|member| !collection.has(member)) {
                let fields: Vec<_> = collection.fields().map(|field| field.name().clone()).collect();
                let place = format!("collection `{}` of {place}", collection.name());
                return Err(DataError::unknown_column(unknown, place, fields.iter().map(String::as_str)));
            }
            let missing =
                COORDINATES.into_iter().filter(|c| !collection.has(&format!("{}_{c}", collection.name())));
            let (collection, missing) = (collection.name().to_owned(), missing.collect());
            derived.push(Self::Coordinates { collection, cartesian, missing });
        }
        for (name, to) in &config.nearest {
            if collection.has(name) || schema.field_with_name(name).is_ok() {
                let place = format!("{place}; give the distance another name in `nearest`");
                return Err(DataError::DuplicateColumn { column: name.clone(), place });
            }
            let to = Collection::find(schema, to, place)?;
            derived.push(Self::Nearest { name: name.clone(), of: collection.clone(), to });
        }
        Ok(derived)
    }

    /// Names of the new columns.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let names = match self {
            Self::Coordinates { collection, missing, .. } => {
                missing.iter().map(|coordinate| format!("{collection}_{coordinate}")).collect()
            }
            Self::Nearest { name, .. } => vec![name.clone()],
        };
        names.into_iter()
    }

    /// What they are made of: members of the collection itself, or its coordinates.
    pub(super) fn inputs(&self) -> Vec<String> {
        match self {
            Self::Coordinates { cartesian, .. } => cartesian.to_vec(),
            Self::Nearest { of, .. } => direction(of).to_vec(),
        }
    }

    /// Columns of the file that belong to other collections.
    pub(super) fn foreign_columns(&self) -> Vec<String> {
        match self {
            Self::Coordinates { .. } => Vec::new(),
            Self::Nearest { of, to, .. } if of == to => Vec::new(),
            Self::Nearest { to, .. } => to.columns(&direction(to)).into_iter().collect(),
        }
    }

    /// The new columns for objects whose members and columns so far are `columns`.
    pub(super) fn compute(
        &self,
        columns: &[(String, ArrayRef)],
        offsets: &[usize],
        block: &Block,
        place: &str,
    ) -> Result<Vec<(String, ArrayRef)>, DataError> {
        match self {
            Self::Coordinates { collection, cartesian, missing } => {
                let mut components = Vec::with_capacity(4);
                for name in cartesian {
                    components.push(numbers(columns, name, place)?);
                }
                let momentum = |object: usize| {
                    let [px, py, pz, e] = std::array::from_fn(|i| components[i][object]);
                    FourVector::new(e, px, py, pz)
                };
                let momenta: Vec<FourVector> = (0..components[0].len()).map(momentum).collect();
                Ok(missing.iter().map(|c| (format!("{collection}_{c}"), coordinate(c, &momenta))).collect())
            }
            Self::Nearest { name, of, to } => {
                let own = direction(of).map(|member| numbers(columns, &member, place));
                let [eta, phi] = own;
                let own = [eta?, phi?];
                let others = if of == to { None } else { Some(directions(to, block, place)?) };
                let nearest = match &others {
                    None => distances(&own, offsets, &own, offsets, true),
                    Some((ends, others)) => distances(&own, offsets, others, ends, false),
                };
                Ok(vec![(name.clone(), nearest)])
            }
        }
    }
}

fn direction(collection: &Collection) -> [String; 2] {
    ["eta", "phi"].map(|member| format!("{}_{member}", collection.name()))
}

/// A column of numbers; a null is NaN, which is refused where it is used.
fn numbers(columns: &[(String, ArrayRef)], name: &str, place: &str) -> Result<Vec<f64>, DataError> {
    let names = columns.iter().map(|(known, _)| known.as_str());
    let found = columns.iter().find(|(known, _)| known == name);
    let (_, array) =
        found.ok_or_else(|| DataError::unknown_column(name, format!("the objects of {place}"), names))?;
    let values = cast(array, &DataType::Float64)?;
    Ok(values.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// η and φ of another collection.
fn directions(
    collection: &Collection,
    block: &Block,
    place: &str,
) -> Result<(Vec<usize>, [Vec<f64>; 2]), DataError> {
    let names = direction(collection);
    let flat = collection.flatten(&block.batch, &names, &block.rows, place)?;
    let columns: Vec<(String, ArrayRef)> = names.iter().cloned().zip(flat.members).collect();
    Ok((flat.offsets, [numbers(&columns, &names[0], place)?, numbers(&columns, &names[1], place)?]))
}

fn coordinate(name: &str, momenta: &[FourVector]) -> ArrayRef {
    let value = |momentum: &FourVector| match name {
        "pt" => momentum.pt(),
        "eta" => momentum.eta(),
        "phi" => momentum.phi(),
        _ => momentum.mass(),
    };
    std::sync::Arc::new(Float64Array::from_iter_values(momenta.iter().map(value)))
}

/// ΔR of every object to the nearest of `others` in its event; with `itself`, both are the same objects.
fn distances(
    [eta, phi]: &[Vec<f64>; 2],
    offsets: &[usize],
    [other_eta, other_phi]: &[Vec<f64>; 2],
    ends: &[usize],
    itself: bool,
) -> ArrayRef {
    let mut nearest = Vec::with_capacity(eta.len());
    for (event, pair) in offsets.windows(2).enumerate() {
        for object in pair[0]..pair[1] {
            let others = (ends[event]..ends[event + 1]).filter(|&other| !itself || other != object);
            let distance =
                |other: usize| delta_r(eta[object], phi[object], other_eta[other], other_phi[other]);
            nearest.push(others.map(distance).fold(ALONE, f64::min));
        }
    }
    std::sync::Arc::new(Float64Array::from(nearest))
}

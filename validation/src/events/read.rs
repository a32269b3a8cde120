//! Generated objects, their reconstruction, and the masses of pairs, out of a file of nested events.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::ArrayView2;
use simile_data::{DataError, Dataset, ObjectReader, ObjectsConfig};
use simile_physics::FourVector;

use super::peak::Pair;
use super::{EventOptions, ObjectCounts};

/// Everything that is compared of one sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    /// True energy of every generated object.
    pub(super) energies: Vec<f32>,
    /// Event weight of every generated object.
    pub(super) weights: Vec<f64>,
    /// The reconstructed object of every generated one.
    pub(super) reconstructed: Vec<Option<usize>>,
    /// Energy of every reconstructed object.
    pub(super) measured: Vec<f32>,
    /// Quantities of every reconstructed object.
    pub(super) quantities: Vec<Vec<f32>>,
    /// Title and unit of every quantity.
    pub(super) labels: Vec<String>,
    pub(super) units: Vec<Option<String>>,
    /// Pairs of reconstructed objects with one parent.
    pub(super) masses: Vec<Pair>,
    pub(super) counts: ObjectCounts,
}

impl Objects {
    /// Generated objects with energies in a bin of ascending edges, of which the last closes it.
    pub(super) fn within(&self, edges: &[f64], bin: usize) -> impl Iterator<Item = usize> {
        let (low, high) = (edges[bin], edges[bin + 1]);
        let is_last = bin + 2 == edges.len();
        let is_inside = move |energy: f64| (low..high).contains(&energy) || (is_last && energy == high);
        (0..self.energies.len()).filter(move |&i| is_inside(f64::from(self.energies[i])))
    }

    pub(super) fn masses_of(&self, pdg: i32) -> Vec<Pair> {
        self.masses.iter().copied().filter(|pair| pair.pdg == pdg).collect()
    }
}

/// Readers of the three collections.
struct Readers {
    generated: ObjectReader,
    reconstructed: ObjectReader,
    parents: Option<ObjectReader>,
}

impl Readers {
    fn new(dataset: &Dataset, options: &EventOptions) -> Result<Self, DataError> {
        let of = |collection: &str| ObjectsConfig {
            collection: collection.to_owned(),
            ..ObjectsConfig::default()
        };
        let reader = |config: &ObjectsConfig, wanted: Vec<&String>| {
            let mut columns: Vec<String> = Vec::new();
            for name in wanted {
                if !columns.contains(name) {
                    columns.push(name.clone());
                }
            }
            ObjectReader::new(dataset, config, &columns)
        };
        let mut generated = vec![&options.incident];
        generated.extend(options.parents.iter().map(|[parent, ..]| parent));
        let mut reconstructed = vec![&options.index];
        reconstructed.extend(options.energy.iter().chain(&options.quantities));
        reconstructed.extend(options.direction.iter().flatten());
        let parents = options.parents.as_ref();
        Ok(Self {
            generated: reader(&options.generated, generated)?,
            reconstructed: reader(&of(&options.reconstructed), reconstructed)?,
            parents: parents.map(|[_, collection, pdg]| reader(&of(collection), vec![pdg])).transpose()?,
        })
    }

    fn columns(&self) -> BTreeSet<String> {
        let readers = [Some(&self.generated), Some(&self.reconstructed), self.parents.as_ref()];
        readers.into_iter().flatten().flat_map(ObjectReader::columns).collect()
    }
}

/// Reads a sample.
pub(super) fn read(dataset: &Dataset, options: &EventOptions) -> Result<Objects, DataError> {
    let readers = Readers::new(dataset, options)?;
    let weighted = dataset.field(&options.weight).is_ok();
    let mut columns: Vec<String> = readers.columns().into_iter().collect();
    columns.extend(weighted.then(|| options.weight.clone()).filter(|weight| !columns.contains(weight)));
    let units = dataset.units()?;
    let mut sample = Objects {
        quantities: vec![Vec::new(); options.quantities.len()],
        labels: options.quantities.iter().map(|name| title(name)).collect(),
        units: options.quantities.iter().map(|name| units.get(name).cloned()).collect(),
        ..Objects::default()
    };
    for block in dataset.scan().columns(&columns).blocks()? {
        let block = block?;
        let weights = match weighted {
            true => simile_data::objects::event_numbers(&block, &options.weight)?,
            false => vec![1.0; block.rows.len()],
        };
        let generated = readers.generated.read(&block)?;
        let reconstructed = readers.reconstructed.read(&block)?;
        let parents = readers.parents.as_ref().map(|reader| reader.read(&block)).transpose()?;
        let event = Block { options, generated, reconstructed, parents, weights };
        event.add_to(&mut sample)?;
    }
    Ok(sample)
}

/// `cluster_energy` → `Cluster energy`.
fn title(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Some events.
struct Block<'a> {
    options: &'a EventOptions,
    generated: simile_data::Objects,
    reconstructed: simile_data::Objects,
    parents: Option<simile_data::Objects>,
    weights: Vec<f64>,
}

impl Block<'_> {
    fn add_to(&self, sample: &mut Objects) -> Result<(), DataError> {
        let options = self.options;
        let first = sample.counts.reconstructed as usize;
        let index = self.reconstructed.table.column(&options.index)?;
        let incident = self.generated.table.column(&options.incident)?;
        for (event, weight) in self.weights.iter().enumerate() {
            let begin = sample.energies.len();
            let generated = self.generated.offsets[event]..self.generated.offsets[event + 1];
            sample.reconstructed.extend(generated.clone().map(|_| None));
            sample.weights.extend(generated.clone().map(|_| *weight));
            sample.energies.extend(generated.clone().map(|object| incident[[object, 0]]));
            for cluster in self.reconstructed.offsets[event]..self.reconstructed.offsets[event + 1] {
                if let Some(place) = place(index[[cluster, 0]]).filter(|place| *place < generated.len()) {
                    sample.reconstructed[begin + place] = Some(first + cluster);
                }
            }
        }
        self.add_masses(sample)?;
        let column = |name: &String| self.reconstructed.table.column(name);
        for (values, name) in sample.quantities.iter_mut().zip(&options.quantities) {
            values.extend(column(name)?.iter());
        }
        if let Some(energy) = &options.energy {
            sample.measured.extend(column(energy)?.iter());
        }
        sample.counts.events += self.weights.len() as u64;
        sample.counts.generated += self.generated.len() as u64;
        sample.counts.reconstructed += self.reconstructed.len() as u64;
        Ok(())
    }

    /// Pairs of objects whose parents have just these two.
    fn add_masses(&self, sample: &mut Objects) -> Result<(), DataError> {
        let (Some(parents), Some(direction), Some([parent, _, pdg])) =
            (&self.parents, &self.options.direction, &self.options.parents)
        else {
            return Ok(());
        };
        let [pt, eta, phi] = direction.each_ref().map(|name| self.reconstructed.table.column(name));
        let momenta = [pt?, eta?, phi?];
        let index = self.reconstructed.table.column(&self.options.index)?;
        let parent = self.generated.table.column(parent)?;
        let pdg = parents.table.column(pdg)?;
        for (event, weight) in self.weights.iter().enumerate() {
            let mut families: BTreeMap<usize, Vec<FourVector>> = BTreeMap::new();
            for cluster in self.reconstructed.offsets[event]..self.reconstructed.offsets[event + 1] {
                let objects = self.generated.offsets[event]..self.generated.offsets[event + 1];
                let generated = place(index[[cluster, 0]]).map(|place| objects.start + place);
                let generated = generated.filter(|generated| objects.contains(generated));
                if let Some(of) = generated.and_then(|generated| place(parent[[generated, 0]])) {
                    families.entry(of).or_default().push(momentum(&momenta, cluster));
                }
            }
            for (of, momenta) in families {
                let of_parent = parents.offsets[event] + of;
                if momenta.len() == 2 && of_parent < parents.offsets[event + 1] {
                    let mass_mev = (momenta[0] + momenta[1]).mass();
                    sample.masses.push(Pair { pdg: pdg[[of_parent, 0]] as i32, mass_mev, weight: *weight });
                }
            }
        }
        Ok(())
    }
}

/// A position in a list; none where it is negative, as of an object without a parent, or no number.
fn place(stored: f32) -> Option<usize> {
    (stored >= 0.0).then_some(stored as usize)
}

/// A massless four-momentum.
fn momentum(columns: &[ArrayView2<'_, f32>; 3], object: usize) -> FourVector {
    let [pt, eta, phi] = columns.each_ref().map(|column| f64::from(column[[object, 0]]));
    FourVector::from_pt_eta_phi_m(pt, eta, phi, 0.0)
}

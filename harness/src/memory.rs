//! The guest's memory. It is read and written here and nowhere else.

use wasmtime::AsContextMut;

use crate::abi::Status;
use crate::call::{Answer, Call, Stop};
use crate::error::HostError;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::pairs::{self, Pair};
use crate::timeline::Argument;

impl Call<'_> {
    /// Copies an argument out of the guest and records it.
    ///
    /// The range must lie in memory even where it is empty.
    pub(crate) fn bytes(&mut self, pointer: u32, size: u32) -> Result<Vec<u8>, Stop> {
        let bytes = self.range(pointer, size)?.to_vec();
        self.state().copied += bytes.len();
        self.record.arguments.push(Argument::Bytes(bytes.clone()));
        Ok(bytes)
    }

    /// Reads a list of names and values out of the guest and records it.
    pub(crate) fn pairs(&mut self, pointer: u32, size: u32) -> Result<Vec<Pair>, Stop> {
        let read = pairs::read(self.range(pointer, size)?);
        if read.is_none() {
            let what = format!("{size} bytes are no list of pairs");
            self.lint(LintKind::UnreadablePairs, what);
        }
        if read.is_none() && self.mutated(Rule::UnreadablePairsAreRefused) {
            return Err(Status::ParseFailure.into());
        }
        let pairs = read.unwrap_or_default();
        self.state().copied += size as usize;
        self.record.arguments.push(Argument::Pairs(pairs.clone()));
        Ok(pairs)
    }

    /// Writes a number where the guest wants it.
    pub(crate) fn write_u32(&mut self, pointer: u32, number: u32) -> Answer {
        self.range(pointer, 4)?
            .copy_from_slice(&number.to_le_bytes());
        Ok(())
    }

    /// Writes a long number where the guest wants it.
    pub(crate) fn write_u64(&mut self, pointer: u32, number: u64) -> Answer {
        self.range(pointer, 8)?
            .copy_from_slice(&number.to_le_bytes());
        Ok(())
    }

    /// Copies bytes to where the guest has room.
    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Answer {
        let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        self.range(pointer, size)?.copy_from_slice(bytes);
        self.state().copied += bytes.len();
        Ok(())
    }

    /// Reads a number of the guest's.
    pub(crate) fn read_u32(&mut self, pointer: u32) -> Result<u32, Stop> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.range(pointer, 4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    /// Appends bytes of the guest's to what was read before, as one argument in many pieces.
    ///
    /// Pieces may overlap, so that their sum is bounded by no memory; it counts as handed over, and
    /// ends the run where it is too much.
    pub(crate) fn append(&mut self, pointer: u32, size: u32, to: &mut Vec<u8>) -> Answer {
        to.extend_from_slice(self.range(pointer, size)?);
        self.state().copied += size as usize;
        Ok(self.count_copied()?)
    }

    /// Hands data to the guest: asks its allocator for room, copies, and writes place and size
    /// where the guest wants them. Empty data is a null pointer, without a call of the allocator.
    pub(crate) fn give(&mut self, data: &[u8], pointer: u32, size: u32) -> Answer {
        self.record.returned = Some(Argument::Bytes(data.to_vec()));
        let length = u32::try_from(data.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        self.state().copied += data.len();
        let place = if data.is_empty() && !self.mutated(Rule::EmptyDataIsNotNull) {
            0
        } else if data.is_empty() {
            self.allocate(1)?
        } else {
            self.allocate(length)?
        };
        if place != 0 {
            self.range(place, length)?.copy_from_slice(data);
        }
        self.write_u32(pointer, place)?;
        self.write_u32(size, length)
    }

    /// Hands out what a foreign function made: where the guest wants neither place nor size it
    /// leaves the pointer 0. The allocator is asked even for no bytes, but not for nothing at all.
    pub(crate) fn hand_out(&mut self, data: Option<Vec<u8>>, pointer: u32, size: u32) -> Answer {
        let bytes = data.as_deref().unwrap_or_default();
        self.record.returned = data.clone().map(Argument::Bytes);
        let length = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        self.state().copied += bytes.len();
        let mut place = 0;
        if pointer != 0 && data.is_some() {
            place = match self.allocate(length) {
                Err(Stop::Status(_)) if length > 0 => return Err(self.crash_without_memory()),
                Err(Stop::Status(_)) => 0,
                other => other?,
            };
            self.range(place, length)?.copy_from_slice(bytes);
        }
        if pointer != 0 {
            self.write_u32(pointer, place)?;
        }
        if size != 0 {
            self.write_u32(size, length)?;
        }
        Ok(())
    }

    fn crash_without_memory(&mut self) -> Stop {
        self.give_up(|timeline| HostError::EnvoyWouldCrash {
            call: "proxy_call_foreign_function".to_owned(),
            why: "copies its result to address 0 of the proxy when the guest's allocator gives \
                  nothing; let the allocator trap instead"
                .to_owned(),
            timeline,
        })
    }

    /// Hands data to the guest that is said to be larger than it is, with zeros for the rest.
    pub(crate) fn give_padded(
        &mut self,
        data: &[u8],
        total: u32,
        pointer: u32,
        size: u32,
    ) -> Answer {
        self.record.returned = Some(Argument::Bytes(data.to_vec()));
        self.state().copied += data.len();
        let place = self.allocate(total)?;
        let room = self.range(place, total)?;
        let known = data.len().min(room.len());
        room[..known].copy_from_slice(&data[..known]);
        room[known..].fill(0);
        self.write_u32(pointer, place)?;
        self.write_u32(size, total)
    }

    fn allocate(&mut self, size: u32) -> Result<u32, Stop> {
        let state = self.state();
        let Some(allocator) = state.allocator.clone() else {
            return Err(Status::InvalidMemoryAccess.into());
        };
        state.in_allocator = true;
        state.count_crossing();
        let place = allocator.function.call(self.caller.as_context_mut(), size);
        self.state().in_allocator = false;
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                self.outlive(allocator.name, error)?;
                0
            }
        };
        if place == 0 {
            Err(Status::InvalidMemoryAccess.into())
        } else {
            Ok(place)
        }
    }

    fn range(&mut self, pointer: u32, size: u32) -> Result<&mut [u8], Stop> {
        let Some(memory) = self.caller.data().memory else {
            let call = self.record.name.to_owned();
            return Err(self.give_up(|timeline| HostError::EnvoyWouldCrash {
                call,
                why:
                    "hands over bytes, and the module exports no memory; export it, as linkers do \
                      under the name `memory`"
                        .to_owned(),
                timeline,
            }));
        };
        let start = pointer as usize;
        memory
            .data_mut(&mut self.caller)
            .get_mut(start..start.saturating_add(size as usize))
            .ok_or(Stop::Status(Status::InvalidMemoryAccess))
    }
}

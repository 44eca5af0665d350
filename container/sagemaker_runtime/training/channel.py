"""
One channel of a job, in whichever of SageMaker's three input modes it comes.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sagemaker_runtime.errors import AlgorithmError, DataError
from sagemaker_runtime.training import pipes
from sagemaker_runtime.training.data_files import data_files
from sagemaker_runtime.training.digests import Digests
from sagemaker_runtime.training.failure import printable
from sagemaker_runtime.training.pipes import Waiting
from sagemaker_runtime.training.streams import joined, unpacked


class Channel:
    """
    One channel: a folder of files, or in Pipe mode a stream for each pass.

    ``mode`` is File, FastFile or Pipe, ``content_type`` what the job says of the data, "" if
    nothing, ``distribution`` FullyReplicated or, where each host has its own files,
    ShardedByS3Key. ``path`` is where the platform says that the channel is.
    """

    def __init__(
        self,
        path: Path,
        mode: str = "File",
        *,
        content_type: str = "",
        distribution: str = "FullyReplicated",
        is_wrapped: bool = False,
        waiting: Waiting | None = None,
    ) -> None:
        self.path = path
        self.name = path.name
        self.mode = mode
        self.content_type = content_type
        self.distribution = distribution
        self._is_wrapped = is_wrapped
        self._waiting = waiting or Waiting()
        self._epoch = 0
        self._digests = Digests()

    @property
    def folder(self) -> Path:
        """
        The folder of the files; raises DataError in Pipe mode, which has none.
        """
        if self.mode == "Pipe":
            raise DataError(
                f"channel {printable(self.name)!r} comes as a pipe, which has no files; read it "
                "from front to end by open(), or give the job another input mode: "
                'TrainingInput(..., input_mode="FastFile").'
            )
        return self.path

    def files(self, *suffixes: str) -> list[Path]:
        """
        List the data files, sorted by path, sub-folders too; hidden files, markers and manifests
        are not among them.

        Raises DataError when there is none, when one has none of the ``suffixes``, if any are
        given, and in Pipe mode.
        """
        return data_files(self.folder, suffixes)

    def open(self) -> IO[bytes]:
        """
        Open the channel's bytes for one more pass: all files one after the other, what is gzipped
        unpacked. In Pipe mode each call takes the stream of the next epoch.

        Raises DataError when there are none, and when a pipe sends nothing any more.
        """
        return joined(unpacked(raw) for _, raw in self.parts())

    def records(self) -> Iterator[bytes]:
        """
        Yield the content of each file for one more pass; in Pipe mode, of each RecordIO record,
        into which the platform wraps files and the attributes of an augmented manifest.

        Raises DataError as ``open`` does, and in Pipe mode without RecordIO.
        """
        if self.mode == "Pipe" and not self._is_wrapped:
            raise DataError(
                f"channel {printable(self.name)!r} comes as a pipe in which one file follows the "
                "other without a border; give it one: TrainingInput(..., "
                'record_wrapping="RecordIO").'
            )
        for _, raw in self.parts():
            with raw:
                yield raw.read()

    def parts(self) -> Iterator[tuple[str, IO[bytes]]]:
        """
        Yield each file or record, or the stream of a pipe that has none, by the name that messages
        call it, for one more pass.
        """
        if self.mode != "Pipe":
            for file in self.files():
                yield f"{self.name}/{file.relative_to(self.path)}", self.opened(file)
            return
        pipe = self.path.with_name(f"{self.name}_{self._epoch}")
        raw: io.RawIOBase = pipes.Pipe(pipe, self._waiting)
        if self._epoch == 0:
            raw = self._digests.noting(raw, "")
        self._epoch += 1
        yield from pipes.parts(raw, pipe.name, self._is_wrapped)

    def opened(self, file: Path) -> IO[bytes]:
        """
        Open one of the files; in FastFile mode, where S3 is read, its digest is taken meanwhile.
        """
        raw: io.RawIOBase = io.FileIO(file)
        if self.mode == "FastFile":
            raw = self._digests.noting(raw, str(file.relative_to(self.path)))
        return io.BufferedReader(raw)

    @property
    def is_joined(self) -> bool:
        """
        Tell whether the parts are several files each, as in a pipe without records.
        """
        return self.mode == "Pipe" and not self._is_wrapped

    def fingerprint(self) -> bytes:
        """
        Return the SHA-256 of the names and contents of all files; of a pipe, that of what the first
        pass has read. CSV that was read in FastFile mode is not read again.

        Raises AlgorithmError when that pass has not come to its end.
        """
        if self.mode != "Pipe":
            return self._digests.of_folder(self.path)
        if "" not in self._digests:
            raise AlgorithmError(
                f"the fingerprint of channel {printable(self.name)!r} is asked for before its "
                "pipe was read to the end; ask after the first pass."
            )
        return self._digests[""]

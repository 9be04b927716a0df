"""What a task does to the images of both sides before anything else: geometry, then container."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iarbench.errors import UserError

if TYPE_CHECKING:  # tasks are listed without whatever opens images
    from PIL import Image

    from iarbench.images.preprocess import Preprocess
    from iarbench.images.record import ImageRecord

Preprocessing = Literal["exact", "resize-crop", "squash"]
StoredAs = Literal["stored", "png", "webp", "jpeg96"]


@dataclass(frozen=True, slots=True)
class Preparation:
    """The declared treatment of members and non-members alike, part of the identity of every score."""

    preprocessing: Preprocessing = "exact"
    container: StoredAs = "stored"

    @property
    def name(self) -> str:
        """Such as "exact", or "squash+jpeg96"; stands in keys of scores, so that "stored" is not in it."""
        return self.preprocessing if self.container == "stored" else f"{self.preprocessing}+{self.container}"

    def image(self, record: ImageRecord, size: int) -> Image.Image:
        """The image (PIL, RGB) at `size` x `size`, through the container. Raises UserError if it is not exact."""
        from PIL import Image

        image = record.pil()
        if self.preprocessing == "exact" and image.size != (size, size):
            raise UserError(
                f"image {record.image_id} is {image.width}x{image.height}, the target needs {size}x{size}: bring all "
                f"to size with `iarbench images import --size {size}`, or set preprocessing: resize-crop in the task"
            )
        if self.container != "jpeg96":  # the others lose nothing
            return self._treatment(size).image(image)
        return Image.open(io.BytesIO(self._treatment(size)(image))).convert("RGB")

    def record(self, record: ImageRecord, size: int) -> ImageRecord:
        """The image as the file that is compared: as it is stored where the task names no container."""
        if self.container == "stored":
            return record
        treatment = self._treatment(size)
        return record.with_bytes(treatment(record.pil()), treatment.name)

    def _treatment(self, size: int) -> Preprocess:
        from iarbench.images.preprocess import Preprocess

        container = "png" if self.container == "stored" else self.container
        if self.preprocessing == "exact":
            return Preprocess(None, container, "native")
        return Preprocess(size, container, "crop" if self.preprocessing == "resize-crop" else "squash")

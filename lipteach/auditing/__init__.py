"""Floor 2, above the layers and bounds: what a model keeps to, layer by layer, whoever made it."""

from lipteach.auditing.audit import Audit, audit
from lipteach.auditing.audit_rows import LayerAudit

__all__ = ["Audit", "LayerAudit", "audit"]

"""unveil learns encoders from unlabelled data of any kind, and shows what they learned."""

__version__ = "0.1.0"

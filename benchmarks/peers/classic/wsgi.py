from predictor import ScoringService, app

# With --preload the model is loaded before the workers fork.
ScoringService.get_models()

__all__ = ["app"]
